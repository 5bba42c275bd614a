"""G' and G'' against models of materials whose moduli are known in closed form."""

import math

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import BOLTZMANN, estimate_diffusion, shear_moduli
from cloudtrainer.diffusion.compliance import ComplianceTransform
from cloudtrainer.diffusion.moduli_lags import spread_lags
from cloudtrainer.errors import CalibrationError, ConfigError

# Two-dimensional MSD of a bead of 0.5 um at 298 K, um^2, over the creep compliance, 1/Pa.
MSD_OVER_J = 2 * BOLTZMANN * 298.0 / (3 * math.pi * 0.5e-18)
BEADS = {"temperature_K": 298.0, "radius_um": 0.5}

MATERIALS = {
    "liquid of 1 mPa s": (lambda t: t / 1e-3, lambda w: 1e-3j * w),
    "Maxwell, 2 Pa and 0.5 s": (lambda t: t + 0.5, lambda w: 1j * w / (1 + 0.5j * w)),
    "Kelvin-Voigt, 2 Pa and 0.5 s": (lambda t: (1 - np.exp(-2 * t)) / 2, lambda w: 2 + 1j * w),
    "power law of 0.6": (lambda t: t**0.6 / math.gamma(1.6), lambda w: (1j * w) ** 0.6),
}


@pytest.mark.parametrize("name", MATERIALS)
def test_known_compliances_give_known_moduli(name):
    compliance, modulus = MATERIALS[name]
    transform = ComplianceTransform(spread_lags(1000) * 0.01)
    found = transform.modulus(compliance(transform.time)[None])[0]
    known = modulus(transform.angular_frequency)
    off = np.abs(found - known) / np.abs(known)
    assert np.median(off) < 0.03
    # Away from the ends, where it matters how the compliance goes on.
    assert off[6:-3].max() < 0.07


def brownian(D=0.4, sigma=0.0, beads=40, frames=400, seed=0, spring=0.0):
    """Return tracks in px of 0.1 um at 100 frames/s; with a spring, of a Kelvin-Voigt solid."""
    rng = np.random.default_rng(seed)
    step, keep = math.sqrt(2 * D * 0.01) / 0.1, 1.0
    place = np.zeros((beads, 2))
    if spring:
        keep = math.exp(-0.01 * spring)
        still = math.sqrt(D / spring) / 0.1
        step, place = still * math.sqrt(1 - keep**2), rng.normal(0, still, (beads, 2))
    seen = []
    for _ in range(frames):
        seen.append(place + rng.normal(0, sigma / 0.1, place.shape) if sigma else place)
        place = keep * place + rng.normal(0, step, place.shape)
    x, y = np.moveaxis(np.array(seen), 2, 0)
    numbers = np.indices(x.shape)
    return pd.DataFrame(
        {
            "frame": numbers[0].ravel(),
            "particle": numbers[1].ravel(),
            "x": x.ravel(),
            "y": y.ravel(),
        }
    )


def test_beads_in_a_liquid_show_its_viscosity_and_no_elasticity():
    told = shear_moduli(brownian(), 0.01, 0.1, **BEADS)
    viscosity = BOLTZMANN * 298 / (6 * math.pi * 0.5 * 0.4 * 1e-18)
    true = viscosity * told.angular_frequency
    middle = slice(3, -3)
    assert np.median(told.loss[middle] / true[middle]) == pytest.approx(1, abs=0.05)
    assert (np.abs(told.storage[middle]) < 0.3 * true[middle]).all()
    held = (told.loss_low < true) & (true < told.loss_high)
    none = (told.storage_low < 0) & (told.storage_high > 0)
    assert held[middle].mean() > 0.8
    assert none[middle].mean() > 0.8
    assert told.particles == 40


def test_beads_in_a_solid_show_its_two_moduli():
    """An overdamped bead on a spring is one in a Kelvin-Voigt solid."""
    viscosity = BOLTZMANN * 298 / (6 * math.pi * 0.5 * 0.4 * 1e-18)
    told = shear_moduli(brownian(spring=10.0, frames=1500), 0.01, 0.1, **BEADS)
    middle = (told.angular_frequency > 2) & (told.angular_frequency < 40)
    assert np.median(told.storage[middle]) == pytest.approx(10 * viscosity, rel=0.1)
    ratio = told.loss[middle] / (viscosity * told.angular_frequency[middle])
    assert np.median(ratio) == pytest.approx(1, abs=0.12)


def test_stuck_beads_take_the_localisation_error_out():
    blurred, stuck = brownian(sigma=0.1), brownian(D=0, sigma=0.1, beads=10, seed=5)
    true = BOLTZMANN * 298 / (6 * math.pi * 0.5 * 0.4 * 1e-18)
    raw = shear_moduli(blurred, 0.01, 0.1, **BEADS)
    clean = shear_moduli(blurred, 0.01, 0.1, **BEADS, stuck=stuck)
    assert clean.offset_um2 == pytest.approx(4 * 0.1**2, rel=0.05)
    fast = slice(-6, -1)
    assert (raw.storage[fast] > 0.15 * true * raw.angular_frequency[fast]).all()
    assert np.abs(clean.storage[fast]).mean() < 0.5 * raw.storage[fast].mean()
    assert any("No offset was taken out" in said for said in raw.warnings)
    assert not any("No offset" in said for said in clean.warnings)
    assert any("more than half of the MSD is localisation error" in s for s in clean.warnings)


def blurred_water(sigma=0.03, beads=50, frames=200, seed=3, frame_s=0.01, parts=16):
    """Return tracks of beads that were exposed for whole frames, D = 0.4 um^2/s."""
    rng = np.random.default_rng(seed)
    step = rng.normal(0, math.sqrt(2 * 0.4 * frame_s / parts), (beads, frames * parts, 2))
    path = np.cumsum(step, axis=1).reshape(beads, frames, parts, 2).mean(2)
    x, y = np.moveaxis(path + rng.normal(0, sigma, path.shape), 2, 0) / 0.1
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(beads), frames),
            "frame": np.tile(np.arange(frames), beads),
            "x": x.ravel(),
            "y": y.ravel(),
        }
    )


def test_a_known_exposure_takes_motion_blur_out():
    viscosity = BOLTZMANN * 298 / (6 * math.pi * 0.5 * 0.4 * 1e-18)
    known, unknown = (
        shear_moduli(blurred_water(), 0.01, 0.1, **BEADS, static_error_um=0.03, exposure_s=exposure)
        for exposure in (0.01, None)
    )
    true = viscosity * known.angular_frequency[-1]
    assert unknown.storage_high[-1] < -0.2 * true
    assert known.storage_low[-1] < 0 < known.storage_high[-1]
    assert known.loss_low[-1] < true < known.loss_high[-1]
    assert (known.possible_blur == 0).all()
    assert known.exposure_s == 0.01
    assert not any("blur" in said for said in known.warnings)


def test_an_unknown_exposure_is_warned_of_where_it_matters():
    stuck = brownian(D=0, sigma=0.03, beads=10, seed=5)
    told = shear_moduli(blurred_water(), 0.01, 0.1, **BEADS, stuck=stuck)
    said = " ".join(told.warnings)
    assert "Motion blur is not taken out, as the exposure is unknown" in said
    assert "motion blur is the first suspect: give the exposure" in said
    assert told.possible_blur[-1] > 0.25
    assert told.possible_blur[0] < 0.05
    spoiled = told.angular_frequency[told.possible_blur > 0.1].min()
    assert f"from {spoiled:.3g} rad/s on" in said
    assert "possible_blur_share" in told.table()


def test_a_whole_offset_holds_the_blur():
    offset = 4 * 0.03**2 - 8 * 0.4 * 0.01 / 6
    told = shear_moduli(blurred_water(), 0.01, 0.1, **BEADS, offset_um2=offset)
    assert told.storage_low[-1] < 0 < told.storage_high[-1]
    assert (told.possible_blur == 0).all()
    assert not any("blur" in said for said in told.warnings)
    unsure = shear_moduli(
        blurred_water(), 0.01, 0.1, **BEADS, offset_um2=offset, offset_error_um2=2e-3
    )
    wider = (unsure.storage_high - unsure.storage_low) / (told.storage_high - told.storage_low)
    assert wider[-1] > 1.5
    assert wider[0] < 1.2


def test_few_long_tracks_among_short_ones_end_the_lags():
    long, short = brownian(beads=3), brownian(beads=97, frames=40, seed=1)
    tracks = pd.concat([long, short.assign(particle=short["particle"] + 3)])
    told = shear_moduli(tracks, 0.01, 0.1, **BEADS, static_error_um=0.0, exposure_s=0.0)
    assert 1 / told.angular_frequency[0] < 0.35
    assert np.isfinite(told.loss_low).all()
    assert any("not at a quarter of the longest track" in said for said in told.warnings)
    forced = shear_moduli(tracks, 0.01, 0.1, **BEADS, offset_um2=0.0, max_lag=100)
    assert 1 / forced.angular_frequency[0] == pytest.approx(1.0)
    said = " ".join(forced.warnings)
    assert "hold no track that reaches the longest lags" in said
    assert "below the offset" not in said


def test_positions_that_are_not_independent_are_kept_out_of_the_moduli_by_the_shortest_lag():
    """Smoothed over five frames, as by compression, water looks elastic at the shortest lags."""
    tracks = brownian(sigma=0.01)
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    smooth = pd.concat(
        pd.DataFrame({name: np.convolve(one[name], kernel, "valid") for name in ("x", "y")}).assign(
            particle=particle, frame=lambda table: np.arange(len(table))
        )
        for particle, one in tracks.groupby("particle")
    )
    long = estimate_diffusion(smooth, 0.01, 0.1, interval="model", stride=5)
    found = {
        least: shear_moduli(
            smooth, 0.01, 0.1, offset_um2=long.offset, min_lag=least, exposure_s=0.0, **BEADS
        )
        for least in (1, 5)
    }
    at_the_top = {least: one.storage[-3:] / one.loss[-3:] for least, one in found.items()}
    assert at_the_top[1].mean() > 0.4
    assert abs(at_the_top[5].mean()) < 0.15
    assert found[5].angular_frequency.max() < found[1].angular_frequency.max() / 4
    assert not any("no larger than the offset" in said for said in found[5].warnings)


def test_no_tracks_have_no_moduli():
    with pytest.raises(ConfigError, match="no track has two positions"):
        shear_moduli(brownian(frames=10).iloc[:0], 0.01, 0.1, **BEADS)


def test_flow_is_warned_of():
    flowing = brownian()
    flowing["x"] += 0.5 * flowing["frame"]
    assert any("drift or active" in s for s in shear_moduli(flowing, 0.01, 0.1, **BEADS).warnings)


@pytest.mark.parametrize("seed", range(6))
def test_brownian_tracks_are_not_called_faster(seed):
    told = shear_moduli(brownian(frames=200, beads=15, seed=100 + seed), 0.01, 0.1, **BEADS)
    assert not any("drift or active" in said for said in told.warnings)
    for value, low, high in (
        (told.storage, told.storage_low, told.storage_high),
        (told.loss, told.loss_low, told.loss_high),
    ):
        known = np.isfinite(value)
        assert (low[known] <= value[known]).all()
        assert (value[known] <= high[known]).all()


def test_one_bead_has_no_interval():
    told = shear_moduli(brownian(beads=1), 0.01, 0.1, **BEADS)
    assert np.isnan(told.storage_low).all()
    assert sum("one particle" in said for said in told.warnings) == 1
    assert not any("drift or active" in said for said in told.warnings)


def test_the_table_names_units():
    table = shear_moduli(brownian(frames=100), 0.01, 0.1, **BEADS).table()
    assert list(table)[:2] == ["angular_frequency_rad_per_s", "storage_modulus_Pa"]
    assert table["angular_frequency_rad_per_s"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("changed", "said", "kind"),
    [
        ({"temperature_K": 0.0}, "temperature_K 0.0: must be above 0", CalibrationError),
        ({"radius_um": math.nan}, "radius_um nan", CalibrationError),
        ({"offset_um2": 99.0}, "larger than the particles' whole motion", CalibrationError),
        ({"offset_um2": 0.1, "stuck": brownian(frames=20)}, "not both", ConfigError),
        ({"offset_um2": 0.1, "static_error_um": 0.1}, "not both", ConfigError),
        ({"static_error_um": -0.1}, "static_error_um is -0.1", CalibrationError),
        ({"offset_um2": 0.0, "offset_error_um2": -1.0}, "offset_error_um2 is", CalibrationError),
        ({"offset_error_um2": 0.1}, "says nothing without offset_um2", ConfigError),
        ({"exposure_s": 0.02}, "longer than the frame interval", CalibrationError),
        ({"max_lag": 5}, "tracks of 30 frames", ConfigError),
    ],
)
def test_what_cannot_be_is_refused(changed, said, kind):
    with pytest.raises(kind, match=said):
        shear_moduli(brownian(frames=100), 0.01, 0.1, **{**BEADS, **changed})
