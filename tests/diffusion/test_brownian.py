import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import estimate_diffusion

DT, PIXEL = 1 / 30, 0.1
# Tracks, frames, D (um^2/s), sigma (um), full exposure.
REGIMES = [
    (50, 50, 0.5, 0.02, False),
    (50, 50, 0.5, 0.05, True),
    (200, 30, 0.05, 0.05, True),
    (20, 300, 2.0, 0.03, True),
    (50, 50, 0.02, 0.05, True),
]


def cramer_rao(particles: int, frames: int, D: float, sigma: float, full: bool) -> float:
    """Bound on the standard error of D with sigma free, from the sine-transform eigenvalues."""
    N, R = frames - 1, 1 / 6 if full else 0.0
    c = 1 - np.cos(np.arange(1, N + 1) * np.pi / (N + 1))
    eigenvalue = 2 * D * DT + 2 * (sigma**2 - 2 * R * D * DT) * c
    gradient = np.array([2 * DT - 4 * R * DT * c, 2 * c]) / eigenvalue
    # Two axes, and a factor of a half.
    return float(np.sqrt(np.linalg.inv(particles * gradient @ gradient.T)[0, 0]))


def repeats(simulate, regime, number, seed, **arguments):
    particles, frames, D, sigma, full = regime
    rng = np.random.default_rng(seed)
    return [
        estimate_diffusion(simulate(rng, particles, frames, D, sigma, full), DT, PIXEL, **arguments)
        for _ in range(number)
    ]


@pytest.mark.parametrize("regime", REGIMES)
def test_unbiased_and_near_the_bound(brownian_tracks, regime):
    D = regime[2]
    bound = cramer_rao(*regime)
    found = repeats(brownian_tracks, regime, 40, seed=31)
    values = np.array([e.value for e in found])
    assert abs(values.mean() - D) < 3.5 * bound / np.sqrt(40)
    # 40 repeats know a standard deviation to 11%.
    assert values.std(ddof=1) < 1.35 * bound
    assert np.mean([e.standard_error for e in found]) == pytest.approx(bound, rel=0.15)
    assert np.mean([e.model_standard_error for e in found]) == pytest.approx(bound, rel=0.1)
    assert sum(e.low <= D <= e.high for e in found) >= 34


@pytest.mark.slow
@pytest.mark.parametrize("regime", REGIMES)
def test_figures_of_many_repeats(brownian_tracks, regime):
    D, number = regime[2], 400
    bound = cramer_rao(*regime)
    found = repeats(brownian_tracks, regime, number, seed=12)
    values = np.array([e.value for e in found])
    assert abs(values.mean() / D - 1) < 0.005 + 3 * bound / D / np.sqrt(number)
    assert values.std(ddof=1) < 1.05 * bound * (1 + 3 / np.sqrt(2 * number))
    covered = np.mean([e.low <= D <= e.high for e in found])
    assert 0.92 <= covered <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("variation", "particles"), [(0.3, 50), (1.0, 50), (1.0, 20)])
def test_bootstrap_covers_the_mean_of_a_mixed_population(brownian_tracks, variation, particles):
    rng = np.random.default_rng(13)
    covered = by_model = 0
    number = 300
    for _ in range(number):
        D = rng.gamma(1 / variation**2, 0.5 * variation**2, particles)
        e = estimate_diffusion(brownian_tracks(rng, particles, 50, D), DT, PIXEL)
        covered += e.low <= 0.5 <= e.high
        by_model += abs(e.value - 0.5) < 1.96 * e.model_standard_error
    assert covered / number >= 0.91
    assert by_model / number < 0.9


def test_particles_that_differ_widen_the_bootstrap_only(brownian_tracks):
    rng = np.random.default_rng(14)
    alike = estimate_diffusion(brownian_tracks(rng, 60, 60), DT, PIXEL)
    D = rng.gamma(1, 0.5, 60)
    mixed = estimate_diffusion(brownian_tracks(rng, 60, 60, D), DT, PIXEL)
    assert alike.spread_ratio < 1.4
    assert mixed.spread_ratio > 2
    assert mixed.low < D.mean() < mixed.high


@pytest.mark.parametrize("full", [False, True])
def test_missing_positions_do_not_bias(brownian_tracks, full):
    rng = np.random.default_rng(15)
    tracks = brownian_tracks(rng, 300, 60, 0.5, 0.04, full)
    tracks = tracks[rng.random(len(tracks)) > 0.3]
    e = estimate_diffusion(tracks, DT, PIXEL)
    assert abs(e.value - 0.5) < 3 * e.standard_error
    assert e.standard_error < 0.02


def test_full_exposure_read_as_a_strobe_is_biased_and_an_unknown_one_is_not(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(16), 200, 60, 0.5, 0.02, True)
    unknown = estimate_diffusion(tracks, DT, PIXEL)
    strobe = estimate_diffusion(tracks, DT, PIXEL, exposure_s=0.0)
    known = estimate_diffusion(tracks, DT, PIXEL, exposure_s=DT)
    assert unknown.value == pytest.approx(0.5, rel=0.04)
    assert known.value == pytest.approx(0.5, rel=0.04)
    assert strobe.value < 0.42
    assert unknown.offset < 0
    assert unknown.localisation_error is None
    assert known.localisation_error == pytest.approx(0.02, abs=0.006)


@pytest.mark.parametrize("method", ["mle", "cve"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_known_localisation_error(brownian_tracks, method, full, sigma):
    tracks = brownian_tracks(np.random.default_rng(17), 100, 60, 0.5, sigma, full)
    known = {"exposure_s": DT if full else 0.0, "localisation_error_um": sigma}
    e = estimate_diffusion(tracks, DT, PIXEL, **known, method=method)
    free = estimate_diffusion(tracks, DT, PIXEL, method=method)
    assert abs(e.value - 0.5) < 3.5 * e.standard_error
    assert e.model_standard_error < 0.9 * free.model_standard_error
    assert e.localisation_error == pytest.approx(sigma, abs=1e-6)


def test_first_regime_bound_with_sigma_known():
    """3.55% with sigma free against 2.07% known: 2 / sqrt(2 N) with N numbers at sigma = 0."""
    assert cramer_rao(50, 50, 0.5, 0.02, False) / 0.5 == pytest.approx(0.0355, abs=2e-4)


def test_covariance_estimate_by_hand():
    x = np.array([0.0, 1.0, 3.0, 2.0, 2.5])
    y = np.array([0.0, 0.0, 1.0, 0.0, 4.0])
    tracks = pd.DataFrame({"particle": 0, "frame": [0, 1, 2, 3, 5], "x": x, "y": y})
    e = estimate_diffusion(tracks, None, None, method="cve", interval="model")
    # Steps 1, 2, -1 and 0, 1, -1 over one frame; the last spans a gap. Both axes are averaged.
    square, product = (1 + 4 + 1 + 0 + 1 + 1) / 6, (2 - 2 + 0 - 1) / 4
    assert e.value == pytest.approx(square / 2 + product)
    assert e.unit == "px^2/frame"
    N, D, s = 3, square / 2 + product, -product
    variance = ((6 * D**2 + 4 * s * D + 2 * s**2) / N + 4 * (D + s) ** 2 / N**2) / 2
    assert e.standard_error == pytest.approx(np.sqrt(variance))


def test_units_scale_and_seed(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(18), 20, 40)
    pixels = estimate_diffusion(tracks, None, None)
    um = estimate_diffusion(tracks, 0.04, 0.2)
    # 0.2^2 um^2 a pixel^2 over 0.04 s a frame is 1.
    assert um.value == pytest.approx(pixels.value, rel=1e-12)
    assert um.offset == pytest.approx(pixels.offset * 0.04, rel=1e-12)
    assert (um.unit, um.length_unit) == ("um^2/s", "um")
    assert estimate_diffusion(tracks, 0.04, 0.2) == um
    other = estimate_diffusion(tracks, 0.04, 0.2, seed=1)
    assert other.value == um.value
    assert other.standard_error == pytest.approx(um.standard_error, rel=0.1)
    assert other.standard_error != um.standard_error


def test_the_bootstrap_is_that_of_refitted_samples(brownian_tracks):
    rng = np.random.default_rng(19)
    tracks = brownian_tracks(rng, 25, 40, rng.gamma(4, 0.1, 25))
    e = estimate_diffusion(tracks, DT, PIXEL)
    parts = [part for _, part in tracks.groupby("particle")]
    refitted = []
    for _ in range(150):
        drawn = [parts[k].assign(particle=i) for i, k in enumerate(rng.integers(0, 25, 25))]
        refitted.append(estimate_diffusion(pd.concat(drawn), DT, PIXEL, interval="model").value)
    assert e.standard_error == pytest.approx(np.std(refitted) * np.sqrt(25 / 24), rel=0.2)


@pytest.mark.parametrize("stride", [2, 5])
def test_long_lags_give_the_same_D_with_a_wider_interval(brownian_tracks, stride):
    rng = np.random.default_rng(20)
    tracks = brownian_tracks(rng, 100, 100, 0.5, 0.05)
    short = estimate_diffusion(tracks, DT, PIXEL)
    long = estimate_diffusion(tracks, DT, PIXEL, stride=stride)
    assert abs(long.value - 0.5) < 3 * long.standard_error
    assert long.standard_error > short.standard_error
    assert long.stride == stride


def test_stride_intervals_count_overlapping_phases_once(brownian_tracks):
    rng = np.random.default_rng(21)
    found = [
        estimate_diffusion(brownian_tracks(rng, 40, 60), DT, PIXEL, stride=4) for _ in range(60)
    ]
    scatter = np.std([e.value for e in found])
    assert np.mean([e.standard_error for e in found]) == pytest.approx(scatter, rel=0.25)
    # Cautious: the phases are not wholly redundant.
    assert scatter < np.mean([e.model_standard_error for e in found]) < 1.7 * scatter


@pytest.mark.parametrize(("frames", "number"), [(30, 4000), (100, 3000), (300, 1500)])
@pytest.mark.parametrize("known", [{}, {"exposure_s": 0.0, "localisation_error_um": 0.05}])
def test_intervals_of_single_tracks(brownian_tracks, frames, number, known):
    tracks = brownian_tracks(np.random.default_rng(22), number, frames, 0.5, 0.05)
    found = estimate_diffusion(tracks, DT, PIXEL, **known, per_track=True)
    covered = ((found["D_low"] <= 0.5) & (found["D_high"] >= 0.5)).mean()
    assert 0.93 <= covered <= 0.97
    assert found["D"].mean() == pytest.approx(0.5, rel=0.02)
    if not known:
        bound = cramer_rao(1, frames, 0.5, 0.05, False)
        assert found["D"].std() == pytest.approx(bound, rel=0.08)


def test_noise_that_hides_the_motion_leaves_honest_intervals_of_single_tracks(brownian_tracks):
    """sigma^2 / (D dt) = 3.75: noise is four times the motion of a frame."""
    tracks = brownian_tracks(np.random.default_rng(27), 4000, 30, 0.02, 0.05)
    found = estimate_diffusion(tracks, DT, PIXEL, per_track=True)
    covered = ((found["D_low"] <= 0.02) & (found["D_high"] >= 0.02)).mean()
    assert 0.93 <= covered <= 0.97


def test_one_particle_has_the_interval_of_its_row(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(23), 3, 80)
    row = estimate_diffusion(tracks, DT, PIXEL, per_track=True).iloc[1]
    alone = estimate_diffusion(tracks[tracks["particle"] == 1], DT, PIXEL)
    assert alone.interval.startswith("model (one particle")
    assert alone.value == pytest.approx(row["D"], rel=5e-3)
    assert alone.low == pytest.approx(row["D_low"], rel=2e-2)
    assert alone.high == pytest.approx(row["D_high"], rel=2e-2)


def test_stuck_particles_have_an_interval_that_reaches_zero():
    rng = np.random.default_rng(24)
    frame = np.tile(np.arange(200), 10)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(10), 200),
            "frame": frame,
            "x": rng.normal(size=2000) * 0.3,
            "y": rng.normal(size=2000) * 0.3,
        }
    )
    for interval in ("bootstrap", "model"):
        e = estimate_diffusion(tracks, DT, PIXEL, interval=interval)
        # Noise alone makes 2 sigma^2 = 0.0018 um^2 of a step, as would D = 0.027 um^2/s.
        assert e.value < 1e-5
        assert e.low == 0
        assert 0 < e.high < 1e-4
    rows = estimate_diffusion(tracks, DT, PIXEL, per_track=True)
    assert (rows["D_low"] == 0).mean() >= 0.8
    assert (rows["D_high"] > 0).all()


def still(frames: int) -> pd.DataFrame:
    return pd.DataFrame({"particle": 0, "frame": np.arange(frames), "x": 3.0, "y": 4.0})


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        (still(1), "two positions"),
        (still(0), "two positions"),
        (still(10), "exactly zero"),
        (still(2).assign(x=[0.0, 1.0]), "three positions"),
    ],
)
def test_no_estimate_says_why(tracks, words):
    e = estimate_diffusion(tracks, DT, PIXEL)
    assert np.isnan([e.value, e.standard_error, e.low, e.high]).all()
    assert e.reason is not None
    assert words in e.reason
    rows = estimate_diffusion(tracks, DT, PIXEL, per_track=True)
    assert rows["D"].isna().all()
    assert (rows["reason"] != "").all()


def test_a_copied_track_does_not_spoil_the_others(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(25), 10, 40)
    with_copy = pd.concat([tracks, still(40).assign(particle=99)])
    e = estimate_diffusion(with_copy, DT, PIXEL)
    assert np.isfinite([e.value, e.low, e.high, e.standard_error]).all()
    assert e.particles == 11
    rows = estimate_diffusion(with_copy, DT, PIXEL, per_track=True).set_index("particle")
    assert np.isnan(rows.loc[99, "D"])
    assert rows.drop(99)["D"].notna().all()
