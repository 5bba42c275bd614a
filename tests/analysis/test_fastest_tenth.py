"""Which mean of the fastest tenth the summary holds, and which one conditions are compared by."""

import numpy as np
import pandas as pd

from cloudtrainer.analysis.readings import readings
from cloudtrainer.analysis.transport import Transport
from cloudtrainer.analysis.transport_report import transport_entry, transport_tables
from cloudtrainer.diffusion import mobility

DT, PIXEL = 1 / 30, 0.1
KNOWN = ("D", "D_low", "D_high", "alpha", "alpha_low", "alpha_high")


def measured(particles: int) -> Transport:
    rng = np.random.default_rng(particles)
    path = np.cumsum(rng.normal(0, np.sqrt(2 * 0.5 * DT) / PIXEL, (particles, 60, 2)), axis=1)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), 60),
            "frame": np.tile(np.arange(60), particles),
            "x": path[..., 0].ravel(),
            "y": path[..., 1].ravel(),
        }
    )
    known = pd.DataFrame({"particle": range(particles), **dict.fromkeys(KNOWN, np.nan)})
    return Transport(mobility(tracks, DT, PIXEL, exposure_s=0.0, estimates=known), ())


def fastest(transport: Transport) -> dict[str, float]:
    found = readings({"measured": {"alpha": None}, "mobility": transport_entry(transport)})
    return {
        quantity.key: reading.low
        for quantity, reading in found.items()
        if quantity.key.startswith("fastest") and quantity.key.endswith("by particle")
    }


def test_conditions_are_compared_by_the_fastest_tenth_without_noise():
    transport = measured(40)
    row = transport.mobility.fastest.set_index("weighting").loc["particle"]
    assert fastest(transport) == {"fastest tenth 1 s by particle": row["without_noise_low"]}
    assert row["without_noise_low"] < 0.5 < row["without_noise_high"]
    assert row["as_observed"] > 0.9


def test_where_there_is_none_they_are_compared_by_the_observed_one_under_its_own_name():
    transport = measured(6)
    (name,) = fastest(transport)
    assert name == "fastest tenth as observed 1 s by particle"
    assert np.isnan(fastest(transport)[name])
    note = transport_tables(transport)[2].note
    assert "fewer than 12 tracks" in note
