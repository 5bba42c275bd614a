"""Viscosity, radius and Boltzmann's constant from D, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from cloudtrainer.diffusion import (
    DiffusionSpread,
    Estimate,
    diffusion_spread,
    estimate_diffusion,
    stokes_einstein,
)
from cloudtrainer.errors import CalibrationError

# A sphere of radius 0.5 um in water of 9.135e-4 Pa s at 297 K: 0.4763 um^2/s.
WATER = {"temperature_K": 297.0, "viscosity_Pa_s": 9.135e-4}


def coefficient(value=0.4763, error=0.01, unit="um^2/s", **changed):
    fields = {
        "value": value, "standard_error": error, "low": value - 1.96 * error,
        "high": value + 1.96 * error, "method": "mle", "unit": unit, "interval": "bootstrap",
        "model_standard_error": error, "offset": 0.0, "localisation_error": None,
        "length_unit": "um", "particles": 50, "displacements": 5000,
    }  # fmt: skip
    return Estimate(**{**fields, **changed})


def test_each_quantity_is_that_of_the_relation():
    viscosity = stokes_einstein(coefficient(), 297.0, radius_um=0.5)
    assert viscosity.value == pytest.approx(9.135e-4, rel=1e-3)
    assert (viscosity.quantity, viscosity.unit) == ("viscosity", "Pa s")
    radius = stokes_einstein(coefficient(), **WATER)
    assert radius.value == pytest.approx(0.5, rel=1e-3)
    constant = stokes_einstein(coefficient(), **WATER, radius_um=0.5)
    assert constant.value == pytest.approx(1.380649e-23, rel=1e-3)
    assert constant.unit == "J/K"


def test_the_interval_joins_those_of_d_radius_and_temperature():
    D = coefficient(error=0.4763 * 0.02)
    only_d = stokes_einstein(D, 297.0, radius_um=0.5)
    assert only_d.low == pytest.approx(only_d.value * D.value / D.high)
    assert only_d.high == pytest.approx(only_d.value * D.value / D.low)
    joined = stokes_einstein(
        D, 297.0, radius_um=0.5, radius_error_um=0.05, temperature_error_K=297 * 0.03
    )
    share = math.hypot(0.02, 0.1, 0.03)
    assert joined.standard_error == pytest.approx(share * joined.value)
    assert math.log(joined.high / joined.low) == pytest.approx(2 * 1.96 * share, rel=0.01)


def test_stated_intervals_hold_where_d_and_radius_scatter():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(2000):
        D = coefficient(0.4763 * math.exp(rng.normal(0, 0.03)), 0.4763 * 0.03)
        radius = 0.5 * math.exp(rng.normal(0, 0.05))
        told = stokes_einstein(D, 297.0, radius_um=radius, radius_error_um=0.05 * radius)
        inside += told.low < 9.135e-4 < told.high
    assert 0.94 < inside / 2000 < 0.96


def test_a_wall_slows_as_published():
    """Faxen's factors of 1 um beads: -14% at 2 um, -6% at 5 um."""
    for distance, slowed in ((2.0, -0.14), (5.0, -0.056)):
        told = stokes_einstein(
            coefficient(0.4763 * (1 + slowed)), 297.0, radius_um=0.5, wall_distance_um=distance
        )
        assert told.wall_factor == pytest.approx(1 + slowed, abs=0.002)
        assert told.value == pytest.approx(9.135e-4, rel=4e-3)
    radius = stokes_einstein(coefficient(0.4763 * 0.8607), **WATER, wall_distance_um=2.0)
    assert radius.value == pytest.approx(0.5, rel=1e-3)


def test_d_of_simulated_beads_gives_the_viscosity_they_were_drawn_with():
    """Brownian tracks drawn here: 30 beads of 200 frames at 20 frames/s, 0.1 um a pixel."""
    import pandas as pd

    rng = np.random.default_rng(3)
    step = math.sqrt(2 * 0.4763 * 0.05) / 0.1
    parts = [
        pd.DataFrame(np.cumsum(rng.normal(0, step, (200, 2)), axis=0), columns=["x", "y"]).assign(
            particle=p, frame=np.arange(200)
        )
        for p in range(30)
    ]
    D = estimate_diffusion(pd.concat(parts), 0.05, 0.1)
    told = stokes_einstein(D, 297.0, radius_um=0.5)
    assert told.low < 9.135e-4 < told.high
    assert told.high / told.low < 1.15


@pytest.mark.parametrize(
    ("D", "given", "said"),
    [
        (coefficient(unit="px^2/frame"), {"radius_um": 0.5}, "px.2/frame: give pixel size"),
        (coefficient(0.0), {"radius_um": 0.5}, "is not positive"),
        (coefficient(math.nan, reason="no tracks"), {"radius_um": 0.5}, "no tracks"),
        (coefficient(), {}, "give radius_um"),
        (coefficient(), {"radius_um": -1.0}, "radius_um -1.0: must be above 0"),
        (coefficient(), {"radius_um": 0.5, "radius_error_um": 0.6}, "radius_um: its standard"),
        (coefficient(), {"radius_um": 0.5, "wall_distance_um": 0.4}, "reach into the wall"),
        (
            coefficient(), {"viscosity_Pa_s": 9e-4, "wall_distance_um": 0.01},
            "no sphere that fits|reach into",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(D, given, said):
    with pytest.raises(CalibrationError, match=said):
        stokes_einstein(D, 297.0, **given)


def test_doubtful_input_is_warned_of():
    cold = stokes_einstein(coefficient(), 24.0, radius_um=0.5)
    assert any("Celsius" in said for said in cold.warnings)
    mixed = coefficient(error=0.05, model_standard_error=0.01)
    assert any("differ in D" in said for said in stokes_einstein(mixed, 297, radius_um=1).warnings)
    near = stokes_einstein(coefficient(), 297.0, radius_um=0.5, wall_distance_um=0.55)
    assert any("wall" in said for said in near.warnings)


def test_of_particles_that_differ_in_size_the_radius_is_the_harmonic_mean(brownian_tracks):
    rng = np.random.default_rng(31)
    radius = 0.5 * np.exp(rng.normal(0, 0.4, 400))
    tracks = brownian_tracks(rng, 400, 60, 0.4763 * 0.5 / radius)
    D = estimate_diffusion(tracks, 1 / 30, 0.1)
    found = stokes_einstein(D, **WATER, spread=diffusion_spread(tracks, 1 / 30, 0.1))
    assert found.low < 1 / np.mean(1 / radius) < found.high
    assert found.high < radius.mean()
    below = 100 * (1 - found.value / radius.mean())
    (said,) = found.warnings
    assert "harmonic mean, 1/<1/a>" in said
    assert float(said.split("about ")[1].split("%")[0]) == pytest.approx(below, abs=4)


def test_the_viscosity_of_unequal_beads_is_told_to_be_too_small():
    spread = DiffusionSpread(value=0.3, low=0.25, high=0.36, particles=50, unit="um^2/s")
    (said,) = stokes_einstein(coefficient(), 297, radius_um=0.5, spread=spread).warnings
    assert "0.30 [0.25, 0.36]" in said
    assert "viscosity is about 8.3% too small" in said
    (said,) = stokes_einstein(coefficient(), **WATER, radius_um=0.5, spread=spread).warnings
    assert "about 9% too large" in said


def test_particles_that_are_alike_are_not_warned_of():
    alike = DiffusionSpread(value=0.1, low=0.0, high=0.2, particles=50, unit="um^2/s")
    unknown = DiffusionSpread(particles=3, unit="um^2/s", reason="too few")
    for spread in (alike, unknown, None):
        assert stokes_einstein(coefficient(), **WATER, spread=spread).warnings == ()
    wide = coefficient(model_standard_error=0.004)
    assert "more than chance" in stokes_einstein(wide, **WATER, spread=unknown).warnings[0]
