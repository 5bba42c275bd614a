import copy

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import (
    calculate_msd,
    estimate_anomalous,
    estimate_diffusion,
    fit_diffusion_models,
)
from cloudtrainer.errors import CalibrationError, LabelError

V3_KEYS = {
    "D",
    "offset",
    "alpha",
    "motion_type",
    "t_fit",
    "msd_fit",
    "linear_params",
    "power_params",
}


@pytest.fixture
def tracks(brownian_tracks) -> pd.DataFrame:
    return brownian_tracks(np.random.default_rng(1), 40, 150, 0.5, 0.04)


def test_series_of_version_3(tracks):
    emsd = calculate_msd(tracks, fps=30, pixel_size=0.1)
    assert len(emsd) == 100
    assert emsd.index[0] == pytest.approx(1 / 30)
    steps = tracks.groupby("particle")[["x", "y"]].diff().dropna().to_numpy() * 0.1
    assert emsd.iloc[0] == pytest.approx((steps**2).sum(axis=1).mean(), rel=1e-12)


def test_fit_of_our_own_series(tracks):
    fit = fit_diffusion_models(calculate_msd(tracks, fps=30, pixel_size=0.1))
    assert set(fit) >= V3_KEYS
    D = estimate_diffusion(tracks, 1 / 30, 0.1)
    anomalous = estimate_anomalous(tracks, 1 / 30, 0.1)
    assert fit["D_estimate"] == D
    assert fit["D"] == D.value
    assert fit["offset"] == D.offset
    assert fit["alpha_estimate"] == anomalous.alpha
    assert fit["motion_type"] == "Normal Brownian diffusion"
    assert len(fit["t_fit"]) == len(fit["msd_fit"]) == 10
    slope, intercept = fit["linear_params"]
    line = slope * fit["t_fit"] + intercept
    np.testing.assert_allclose(line, fit["msd_fit"], rtol=0.1)
    prefactor, alpha = fit["power_params"]
    curve = prefactor * fit["t_fit"] ** alpha + fit["power_offset"]
    np.testing.assert_allclose(curve, fit["msd_fit"], rtol=0.1)


def test_fit_of_a_foreign_series_has_no_intervals():
    time = np.arange(1, 30) / 10
    fit = fit_diffusion_models(pd.Series(2.0 * time + 0.1, index=time))
    assert fit["D"] == pytest.approx(0.5)
    assert fit["offset"] == pytest.approx(0.1)
    assert fit["linear_params"] == pytest.approx((2.0, 0.1))
    assert fit["D_estimate"] is None
    assert fit["alpha_estimate"] is None
    assert fit["motion_type"] == "Undetermined"
    power = fit_diffusion_models(pd.Series(3.0 * time**0.7, index=time))
    assert power["alpha"] == pytest.approx(0.7)
    assert power["power_params"] == pytest.approx((3.0, 0.7))


def test_a_series_that_was_changed_is_not_taken_for_its_tracks(tracks):
    emsd = calculate_msd(tracks)
    assert fit_diffusion_models(emsd * 2)["D_estimate"] is None
    assert fit_diffusion_models(emsd.iloc[:20])["D_estimate"] is not None


def test_attrs_survive_what_pandas_does_with_them(tracks, tmp_path):
    emsd = calculate_msd(tracks)
    source = emsd.attrs["cloudtrainer_tracks"]
    assert source["particles"] == 40
    assert source["displacements"] == 40 * 149
    assert copy.deepcopy(emsd.attrs)["cloudtrainer_tracks"] is source
    assert emsd.copy().attrs["cloudtrainer_tracks"] is source
    assert len(pd.concat([emsd, calculate_msd(tracks)])) == 200
    emsd.to_frame().to_parquet(tmp_path / "msd.parquet")
    assert pd.read_parquet(tmp_path / "msd.parquet")["msd"].tolist() == emsd.tolist()


def test_tracks_changed_afterwards_do_not_change_the_fit(tracks):
    emsd = calculate_msd(tracks)
    before = fit_diffusion_models(emsd)["D"]
    tracks["x"] *= 3
    assert fit_diffusion_models(emsd)["D"] == before


def test_too_short_tracks_and_bad_arguments():
    single = pd.DataFrame({"particle": [0], "frame": [0], "x": [1.0], "y": [1.0]})
    fit = fit_diffusion_models(calculate_msd(single))
    assert np.isnan(fit["D"])
    assert fit["motion_type"] == "Undetermined"
    with pytest.raises(CalibrationError, match="fps"):
        calculate_msd(single, fps=0)
    with pytest.raises(CalibrationError, match="pixel_size"):
        calculate_msd(single, pixel_size=-1)
    with pytest.raises(LabelError, match="ndarray"):
        fit_diffusion_models(np.ones(3))
    with pytest.raises(LabelError, match="text"):
        fit_diffusion_models(pd.Series(["a", "b"], index=[1.0, 2.0]))
