"""Fractions, effective diffusivities and the fastest tenth of simulated populations."""

import math
import re
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import (
    TransportLimits,
    free_diffusion,
    mobility,
    with_distance_to_border,
)
from cloudtrainer.diffusion.mobility_doubts import doubts
from cloudtrainer.diffusion.transport import by_slope, classify
from cloudtrainer.diffusion.weighting import populations
from cloudtrainer.errors import CalibrationError, ConfigError

# A video of a mucus laboratory: 30 frames/s, 512 px = 160 um.
DT, PIXEL = 1 / 30, 160 / 512
KNOWN = ["D", "D_low", "D_high", "alpha", "alpha_low", "alpha_high"]


def brownian(rng, frames, D):
    return np.cumsum(rng.normal(0, math.sqrt(2 * D * DT), (frames, 2)), axis=0)


def caged(rng, frames, D, size):
    """Return a path in a harmonic cage in which each coordinate has this standard deviation."""
    keep = math.exp(-D / size**2 * DT)
    place = rng.normal(0, size, 2)
    path = []
    for _ in range(frames):
        path.append(place)
        place = keep * place + rng.normal(0, size * math.sqrt(1 - keep**2), 2)
    return np.array(path)


def directed(rng, frames, D, speed):
    direction = rng.uniform(0, 2 * math.pi)
    way = speed * DT * np.arange(frames)[:, None]
    return brownian(rng, frames, D) + way * [math.cos(direction), math.sin(direction)]


def table(rng, paths, error, first=None):
    """Return tracks in pixels with a localisation error in um."""
    tables = []
    for particle, path in enumerate(paths):
        seen = (path + rng.normal(0, error, path.shape) + rng.uniform(0, 160, 2)) / PIXEL
        start = 0 if first is None else first[particle]
        tables.append(
            pd.DataFrame(
                {
                    "particle": particle,
                    "frame": start + np.arange(len(path)),
                    "x": seen[:, 0],
                    "y": seen[:, 1],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def mixture(seed, immobile, hindered, diffusive, active, frames=150, error=0.02):
    rng = np.random.default_rng(seed)
    paths = [np.zeros((frames, 2)) for _ in range(immobile)]
    paths += [caged(rng, frames, 0.2, 0.15) for _ in range(hindered)]
    paths += [brownian(rng, frames, 0.5) for _ in range(diffusive)]
    paths += [directed(rng, frames, 0.05, 1.5) for _ in range(active)]
    truth = np.repeat(
        ["immobile", "hindered", "diffusive", "active"], [immobile, hindered, diffusive, active]
    )
    return table(rng, paths, error), truth


@pytest.fixture(scope="module")
def gel():
    tracks, truth = mixture(0, 16, 20, 32, 12, frames=120)
    return mobility(tracks, DT, PIXEL), truth


def test_fractions_of_a_mixture_are_those_put_in(gel):
    found, truth = gel
    assert (found.tracks["class"].to_numpy() == truth).mean() > 0.95
    for row in found.fractions.to_dict("records"):
        for weighting in ("particle", "frame"):
            low, high = (row[f"by_{weighting}_{end}"] for end in ("low", "high"))
            assert low <= (truth == row["class"]).mean() <= high
    assert found.fractions["by_particle"].sum() == pytest.approx(1)
    assert found.fractions["by_frame"].sum() == pytest.approx(1)


def test_immobile_particles_measure_the_offset_and_have_no_diffusivity(gel):
    found, truth = gel
    assert "immobile particles" in found.offset_from
    assert found.offset_um2 == pytest.approx(4 * 0.02**2, rel=0.05)
    still = found.tracks["Deff_1s_um2_per_s"][truth == "immobile"]
    assert abs(still.mean()) < 5e-5


@pytest.mark.parametrize("error", [0.01, 0.1])
def test_noise_does_not_make_immobile_particles_hindered(error):
    """Nor does an error that differs from particle to particle."""
    rng = np.random.default_rng(1)
    paths = [rng.normal(0, rng.uniform(0.5, 2) * error, (100, 2)) for _ in range(60)]
    found = mobility(table(rng, paths, 0.0), DT, PIXEL)
    kinds = found.tracks["class"].value_counts(normalize=True)
    assert kinds.get("immobile", 0) + kinds.get("undetermined", 0) >= 0.95
    assert kinds.get("immobile", 0) > (0.95 if error < 0.05 else 0.5)


def test_noise_does_not_make_free_particles_hindered():
    """Half of the MSD at the first lag is localisation error; the slope alone is deceived."""
    tracks, _ = mixture(2, 0, 0, 60, 0, frames=100, error=0.13)
    found = mobility(tracks, DT, PIXEL)
    kinds = found.tracks["class"].value_counts(normalize=True)
    assert kinds.get("hindered", 0) <= 0.05
    assert (found.tracks["class_by_slope"] == "hindered").mean() > 0.5


def test_effective_diffusivities_of_brownian_particles_are_D_at_every_time_scale():
    tracks, _ = mixture(3, 0, 0, 120, 0, frames=120, error=0.03)
    known = pd.DataFrame({"particle": range(120), **dict.fromkeys(KNOWN, np.nan)})
    for offset in (None, 0.03):
        found = mobility(
            tracks, DT, PIXEL, localisation_error_um=offset, estimates=known,
            time_scales_s=(0.1, 0.5, 1.0),
        )  # fmt: skip
        for row in found.effective.to_dict("records"):
            assert row["mean_by_particle_low"] < 0.5 < row["mean_by_particle_high"]
            assert row["mean_by_particle"] == pytest.approx(row["mean_by_frame"])
    assert list(found.effective["lag_frames"]) == [3, 15, 30]


def test_the_fastest_tenth_of_equal_particles_is_what_chance_makes():
    tracks, _ = mixture(4, 0, 0, 300, 0, frames=60, error=0.0)
    known = pd.DataFrame({"particle": range(300), **dict.fromkeys(KNOWN, np.nan)})
    found = mobility(tracks, DT, PIXEL, estimates=known, localisation_error_um=0.0)
    row = found.fastest.iloc[0]
    assert row["as_observed_over_mean"] > 1.5
    chance = row["as_observed_over_mean_by_chance"]
    assert row["as_observed_over_mean"] == pytest.approx(chance, rel=0.12)
    assert row["without_noise_over_mean"] == pytest.approx(1, abs=0.15)
    assert row["without_noise_low"] < 0.5 < row["without_noise_high"]
    assert found.tracks["fastest_tenth"].sum() == 30
    values = found.tracks["Deff_1s_um2_per_s"].sort_values()
    assert row["as_observed"] == pytest.approx(values[-30:].mean())


def lognormal(rng, mean, variation, number):
    width = math.sqrt(math.log(1 + variation**2))
    return mean * np.exp(rng.normal(-(width**2) / 2, width, number))


def test_the_fastest_tenth_without_noise_is_that_of_the_particles():
    """Of a log-normal D, that of its upper tenth, by the normal distribution function."""
    truth = 0.5 * NormalDist().cdf(math.sqrt(math.log(1.25)) - NormalDist().inv_cdf(0.9)) / 0.1
    known = pd.DataFrame({"particle": range(100), **dict.fromkeys(KNOWN, np.nan)})
    rows = []
    for seed in range(12):
        rng = np.random.default_rng((13, seed))
        paths = [brownian(rng, 60, D) for D in lognormal(rng, 0.5, 0.5, 100)]
        found = mobility(table(rng, paths, 0.03), DT, PIXEL, estimates=known)
        rows.append(found.fastest.set_index("weighting").loc["particle"])
    told = pd.DataFrame(rows)
    assert told["without_noise"].mean() == pytest.approx(truth, rel=0.08)
    assert told["as_observed"].mean() > 1.3 * truth
    held = (told["without_noise_low"] < truth) & (truth < told["without_noise_high"])
    assert held.mean() > 0.75


def test_by_frame_and_by_particle_the_fastest_tenth_without_noise_differs():
    """A tenth of the particles, twenty times as fast, and seen for a third of the time."""
    rng = np.random.default_rng(14)
    paths = [brownian(rng, 50 if n < 30 else 150, 1.0 if n < 30 else 0.05) for n in range(300)]
    known = pd.DataFrame({"particle": range(300), **dict.fromkeys(KNOWN, np.nan)})
    found = mobility(table(rng, paths, 0.02), DT, PIXEL, estimates=known)
    told = found.fastest.set_index("weighting")["without_noise"]
    assert told["particle"] == pytest.approx(1.0, rel=0.25)
    share = 30 * 50 / (30 * 50 + 270 * 150)
    assert told["frame"] == pytest.approx((share * 1.0 + (0.1 - share) * 0.05) / 0.1, rel=0.3)


def test_the_fastest_tenth_without_noise_needs_brownian_particles_and_enough_of_them(gel):
    found, _ = gel
    assert found.fastest["without_noise"].isna().all()
    assert found.fastest["why_none"].str.contains("hindered or active").all()
    tracks, _ = mixture(15, 0, 0, 8, 0, frames=60)
    assert mobility(tracks, DT, PIXEL).fastest["why_none"].str.contains("fewer than 12").all()


@pytest.fixture(scope="module")
def leaving():
    """Always 25 stuck particles in focus and 25 that move, which others replace as they leave."""
    rng = np.random.default_rng(5)
    frames, paths, first = 300, [], []
    for _ in range(25):
        paths.append(np.zeros((frames, 2)))
        first.append(0)
        now = 0
        while now < frames:
            stay = min(int(rng.exponential(25)) + 4, frames - now)
            if stay > 3:
                paths.append(brownian(rng, stay, 1.0))
                first.append(now)
            now += stay
    return mobility(
        table(rng, paths, 0.02, first), DT, PIXEL, time_scales_s=(0.1,), reference_s=0.1
    )


def test_frames_weigh_particles_as_they_are_in_focus(leaving):
    """Equal weights count particles that leave and are replaced too often."""
    row = leaving.effective.iloc[0]
    assert row["mean_by_frame_low"] < 0.5 < row["mean_by_frame_high"]
    assert row["mean_by_particle_low"] > 0.75
    assert row["frame_over_particle_high"] < 0.7
    immobile = leaving.fractions.set_index("class").loc["immobile"]
    assert immobile["by_frame_low"] < 0.5 < immobile["by_frame_high"]
    assert immobile["by_particle"] < 0.15
    assert immobile["difference_low"] > 0.2
    assert any("Weighted by frames" in said for said in leaving.warnings)


def test_tracks_too_short_for_a_time_scale_are_told():
    rng = np.random.default_rng(6)
    paths = [brownian(rng, 20 if number < 10 else 60, 0.5) for number in range(30)]
    found = mobility(table(rng, paths, 0.02), DT, PIXEL, time_scales_s=(0.1, 1.0, 5.0))
    assert list(found.effective["particles"]) == [30, 20, 0]
    assert found.effective["mean_by_particle"].isna().tolist() == [False, False, True]
    assert any("10 of 30 tracks are too short" in said for said in found.warnings)
    assert any("long enough for an effective diffusivity at 5 s" in s for s in found.warnings)


@pytest.mark.parametrize(("ratio", "told"), [(1.0, False), (1.04, False), (0.94, True)])
def test_that_short_tracks_are_as_fast_as_others_is_no_news(ratio, told):
    found = pd.DataFrame({"D": [1.0, 1.0, ratio]})
    even = {"frame_over_particle": [1.0], "frame_over_particle_low": [1.0]}
    effective = pd.DataFrame(
        {"particles": [2], "time_scale_s": [1.0], **even, "frame_over_particle_high": [1.0]}
    )
    fractions = pd.DataFrame({"class": ["undetermined"], "by_particle": [0.0], "by_frame": [0.0]})
    values = np.array([1.0, 1.0, np.nan])
    (said,) = doubts(found, values, effective, fractions, 30, DT, None)
    assert said.startswith("1 of 3 tracks are too short")
    assert ("their median D is 0.94 times" in said) == told
    assert ("median" in said) == told


@pytest.mark.parametrize(("share", "number"), [(0.2, 40), (0.02, 50), (0.5, 15)])
def test_intervals_of_shares_hold_the_truth(share, number):
    rng = np.random.default_rng(7)
    held = []
    for _ in range(120):
        kinds = rng.uniform(size=number) < share
        frames = np.where(kinds, rng.integers(20, 100, number), rng.integers(5, 60, number))
        truth = {
            "particle": share,
            "frame": share * 59.5 / (share * 59.5 + (1 - share) * 32),
        }
        for weighting, population in populations(frames.astype(float), 0).items():
            (_, low, high), _ = population.share(kinds)
            held.append(low <= truth[weighting] <= high)
    assert 0.91 < np.mean(held) <= 0.995


def test_intervals_of_means_and_medians_hold_the_truth():
    rng = np.random.default_rng(8)
    held = {"mean": [], "median": []}
    for _ in range(150):
        values = rng.exponential(size=30)
        population = populations(np.full(30, 10.0), 0)["frame"]
        (_, low, high), _ = population.mean(values)
        held["mean"].append(low < 1 < high)
        _, low, high = population.median(values)
        held["median"].append(low < math.log(2) < high)
    assert all(0.89 < np.mean(kept) <= 0.99 for kept in held.values())


def test_the_ratio_to_the_free_value_is_that_of_stokes_and_einstein():
    tracks, _ = mixture(9, 0, 0, 30, 0, frames=60)
    found = mobility(
        tracks, DT, PIXEL, temperature_K=310.15, particle_radius_um=0.1, viscosity_Pa_s=6.9e-4
    )
    # k_B T / (6 pi eta a) of a particle of 200 nm in water at 37 degrees C: 3.29 um^2/s.
    assert found.free.value == pytest.approx(3.29, abs=0.01)
    row = found.effective.set_index("lag_frames").loc[30]
    assert row["over_free_by_particle"] == pytest.approx(row["mean_by_particle"] / 3.29, rel=0.01)
    table = found.table()
    assert "effective over free diffusivity, mean" in set(table["quantity"])
    assert len(table) == 4 * 9 + 20 + 14


def test_the_one_table_holds_the_fractions_by_slope_and_the_ratios_by_chance():
    tracks, _ = mixture(9, 10, 0, 20, 0, frames=60)
    found = mobility(tracks, DT, PIXEL)
    table = found.table().set_index("quantity")
    slopes = table.loc["fraction by slope alone"].set_index("class")["value"]
    expected = found.tracks["class_by_slope"].value_counts(normalize=True)
    assert slopes[expected.index].to_numpy() == pytest.approx(expected.to_numpy())
    assert slopes.sum() == pytest.approx(1)
    ratio = "effective diffusivity, fastest 10 %, over the mean of all"
    for name, column in (
        (f"{ratio}, as observed", "as_observed_over_mean"),
        (f"{ratio}, of particles that are all alike", "as_observed_over_mean_by_chance"),
    ):
        by = table.loc[name].set_index("weighting")["value"]
        given = found.fastest.set_index("weighting")[column]
        assert by[given.index].to_list() == given.to_list()
        assert (given > 1).all()


def test_free_diffusion_states_the_uncertainty_of_what_it_rests_on():
    exact = free_diffusion(298.15, 0.1, 8.9e-4)
    unsure = free_diffusion(298.15, 0.1, 8.9e-4, radius_error_um=0.01)
    # Einstein 1905 with today's k_B: 4.116e-21 J / (6 pi 8.9e-4 Pa s 1e-7 m).
    assert exact.value == pytest.approx(2.4536, abs=0.001)
    assert (exact.low, exact.high) == (exact.value, exact.value)
    assert unsure.high / unsure.value == pytest.approx(math.exp(1.96 * 0.1), rel=1e-3)
    near = free_diffusion(298.15, 0.5, 8.9e-4, wall_distance_um=5.0)
    assert near.value / free_diffusion(298.15, 0.5, 8.9e-4).value == pytest.approx(0.944, abs=0.001)


def test_tracks_without_an_estimate_are_undetermined():
    estimates = pd.DataFrame([dict.fromkeys(KNOWN, math.nan)])
    told, why = classify(estimates, 1.0, TransportLimits())
    assert told.tolist() == ["undetermined"]
    assert why[0]


@pytest.mark.parametrize(
    ("D", "high", "told"),
    [
        (0.0, 0.001, "immobile"),
        (0.0, 2.0, "undetermined"),
        (1e-5, 2e-5, "immobile"),
        (0.4, 0.6, "diffusive"),
    ],
)
def test_a_D_of_0_is_immobile_only_where_motion_is_excluded(D, high, told):
    """A short Brownian track often has its best D at 0, and excludes nothing."""
    known = {
        "D": D,
        "D_low": D / 2,
        "D_high": high,
        "alpha": 1,
        "alpha_low": 0.8,
        "alpha_high": 1.2,
    }
    assert classify(pd.DataFrame([known]), 1.0, TransportLimits())[0].tolist() == [told]


def test_short_brownian_tracks_are_not_taken_for_stuck_ones():
    rng = np.random.default_rng(11)
    paths = [brownian(rng, 12, 0.4) for _ in range(200)]
    found = mobility(table(rng, paths, 0.05), DT, PIXEL, time_scales_s=(0.1, 0.3))
    assert (found.tracks["class"] == "immobile").mean() < 0.01
    assert "immobile" not in found.offset_from
    assert found.effective["mean_by_particle"].to_numpy() == pytest.approx(0.4, rel=0.1)


def test_300_short_brownian_tracks_have_the_right_diffusivity():
    """None of 8 frames is stuck, and none gives its MSD as the offset of all."""
    values = []
    for seed in range(12):
        rng = np.random.default_rng((16, seed))
        paths = [brownian(rng, 8, 0.5) for _ in range(300)]
        found = mobility(
            table(rng, paths, 0.03), DT, PIXEL, time_scales_s=(0.1,), reference_s=0.1
        )  # fmt: skip
        assert "immobile" not in found.offset_from
        values.append(found.effective["mean_by_particle"].iloc[0])
    assert np.mean(values) == pytest.approx(0.5, rel=0.03)


def blurred(rng, frames, D):
    """Return the path of a camera that is open all the time, from 16 places a frame."""
    fine = np.cumsum(rng.normal(0, math.sqrt(2 * D * DT / 16), (16 * frames, 2)), axis=0)
    return fine.reshape(frames, 16, 2).mean(axis=1)


def slow_and_fast(open_for, exposure_s, **given):
    """Return 50 particles at 0.02 um^2/s and 50 at 2, and the former's mean diffusivities."""
    rng = np.random.default_rng(17)
    move = blurred if open_for else brownian
    paths = [move(rng, 150, D) for D in [0.02] * 50 + [2.0] * 50]
    known = pd.DataFrame({"particle": range(100), **dict.fromkeys(KNOWN, np.nan)})
    found = mobility(
        table(rng, paths, 0.03), DT, PIXEL, exposure_s=exposure_s, estimates=known,
        time_scales_s=(0.1, 0.3, 1.0), **given,
    )  # fmt: skip
    names = [f"Deff_{time}s_um2_per_s" for time in ("0.1", "0.3", "1")]
    return found, found.tracks[names][:50].mean().to_numpy()


@pytest.mark.parametrize(("open_for", "exposure_s"), [(DT, DT), (0, 0.0)])
@pytest.mark.parametrize("given", [{}, {"localisation_error_um": 0.03}])
def test_with_the_exposure_slow_particles_among_fast_ones_have_their_own_diffusivity(
    open_for, exposure_s, given
):
    found, slow = slow_and_fast(open_for, exposure_s, **given)
    assert slow == pytest.approx(0.02, rel=0.2)
    assert found.effective["mean_by_particle"].to_numpy() == pytest.approx(1.01, rel=0.1)
    assert not any("negative" in said for said in found.warnings)


def test_without_the_exposure_slow_particles_among_fast_ones_are_told_to_be_doubtful():
    found, slow = slow_and_fast(DT, None)
    assert slow[0] > 0.06
    (said,) = [said for said in found.warnings if "negative" in said]
    assert "slow particles" in said
    assert "exposure" in said
    rng = np.random.default_rng(18)
    alike = mobility(table(rng, [blurred(rng, 60, 1.0) for _ in range(60)], 0.02), DT, PIXEL)
    assert alike.offset_um2 < 0
    assert not any("negative" in said for said in alike.warnings)


def test_an_offset_as_large_as_the_msd_is_told_and_gives_no_ratio():
    tracks, _ = mixture(12, 0, 0, 20, 0, frames=60, error=0.05)
    found = mobility(tracks, DT, PIXEL, time_scales_s=(0.034, 1.0), localisation_error_um=0.14)
    assert (
        found.effective["mean_by_particle"].iloc[0]
        <= 0
        < found.effective["mean_by_particle"].iloc[1]
    )
    assert math.isnan(found.effective["frame_over_particle"].iloc[0])
    assert any("at 0.0333 s is not above 0" in said for said in found.warnings)


def test_slopes_part_as_in_mpthub():
    slopes = np.array([-0.1, 0.199, 0.2, 0.899, 0.9, 1.199, 1.2, math.nan])
    assert by_slope(slopes, TransportLimits()).tolist() == [
        "immobile", "immobile", "hindered", "hindered", "diffusive", "diffusive", "active",
        "undetermined",
    ]  # fmt: skip


def test_one_track_has_no_intervals_and_none_is_empty():
    rng = np.random.default_rng(10)
    one = mobility(table(rng, [brownian(rng, 50, 0.5)], 0.02), DT, PIXEL)
    assert math.isfinite(one.effective["mean_by_particle"].iloc[0])
    assert math.isnan(one.effective["mean_by_particle_low"].iloc[0])
    none = mobility(pd.DataFrame({name: [] for name in ("particle", "frame", "x", "y")}), DT, PIXEL)
    assert none.tracks.empty
    assert none.effective["mean_by_particle"].isna().all()


@pytest.mark.parametrize(
    ("changed", "said", "kind"),
    [
        ({"time_scales_s": ()}, "time_scales_s is empty", ConfigError),
        ({"time_scales_s": (0.0,)}, "must be above 0", ConfigError),
        ({"reference_s": math.nan}, "must be above 0", ConfigError),
        ({"localisation_error_um": -1.0}, "must be 0 or more", CalibrationError),
        ({"frame_interval_s": 0.0}, "frame_interval_s", CalibrationError),
        (
            {"temperature_K": 310.0, "particle_radius_um": -1.0, "viscosity_Pa_s": 1e-3},
            "radius_um -1.0: must be above 0",
            CalibrationError,
        ),
    ],
)
def test_what_cannot_be_is_refused(changed, said, kind):
    tracks, _ = mixture(11, 0, 0, 2, 0, frames=10)
    with pytest.raises(kind, match=said):
        mobility(tracks, **{"frame_interval_s": DT, "pixel_size_um": PIXEL, **changed})


@pytest.mark.parametrize(
    "changed",
    [{"immobile_um": -1}, {"hindered_below": 1.1}, {"slope_immobile": 1.0}],
)
def test_limits_that_cannot_be_are_refused(changed):
    with pytest.raises(ConfigError):
        TransportLimits(**changed)


def test_displacements_that_lead_out_of_the_field_are_told():
    rng = np.random.default_rng(12)
    side, step, frames = 100.0, 2.0, 60
    world = 3 * side
    path = rng.uniform(0, world, (900, 1, 2)) + np.cumsum(
        rng.normal(0, step, (900, frames, 2)), axis=1
    )
    position = path % world - side - 0.5
    inside = ((position > -0.5) & (position < side - 0.5)).all(axis=2)
    visit = np.cumsum(np.diff(inside, axis=1, prepend=False), axis=1)
    who, frame = np.nonzero(inside)
    x, y = position[who, frame].T
    names = np.unique(who * (frames + 1) + visit[who, frame], return_inverse=True)[1]
    seen = pd.DataFrame({"particle": names, "frame": frame, "x": x, "y": y})
    D = step**2 / 2
    made = {"time_scales_s": (1.0, 16.0), "reference_s": 1.0, "localisation_error_um": 0.0}
    known = pd.DataFrame({"particle": seen["particle"].unique(), **dict.fromkeys(KNOWN, np.nan)})
    bordered = with_distance_to_border(seen, 100, 100)
    found = mobility(bordered, 1.0, 1.0, **made, estimates=known)
    row = found.effective.iloc[1]
    # sqrt(2 / pi) times 8 px over 100 px is 6%; tracks that are short lack more of it.
    assert 0.04 < 1 - row["mean_by_frame"] / D < 0.15
    missed = [1 - found.effective[f"mean_by_{who}"].iloc[0] / D for who in ("frame", "particle")]
    assert missed[1] > missed[0] + 0.02
    (said,) = [said for said in found.warnings if "lead out of the field" in said]
    assert said.startswith("Over 1 s")
    told = [float(number) / 100 for number in re.findall(r"(\d+)% ", said)]
    assert told == pytest.approx(missed, abs=0.035)
    quiet = mobility(seen, 1.0, 1.0, **made, estimates=known)
    assert not any("lead out" in said for said in quiet.warnings)


def test_where_neighbouring_frames_are_not_independent_the_offset_is_that_of_long_displacements():
    """Positions smoothed over frames, as by compression, lower the MSD by the same at long lags."""
    rng = np.random.default_rng(13)
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    paths = [
        np.column_stack([np.convolve(axis, kernel, "valid") for axis in brownian(rng, 150, 0.5).T])
        for _ in range(60)
    ]
    tracks = table(rng, paths, 0.02)
    found = {
        stride: mobility(tracks, DT, PIXEL, time_scales_s=(0.3, 1.0), stride=stride).effective
        for stride in (1, 5)
    }
    off = {stride: (one["mean_by_frame"] / 0.5 - 1).to_numpy() for stride, one in found.items()}
    assert off[1][0] < -0.05
    assert np.abs(off[5]).max() < 0.05


def test_time_scales_below_the_stride_have_no_effective_diffusivity():
    tracks, _ = mixture(9, 0, 0, 30, 0, frames=60)
    found = mobility(tracks, DT, PIXEL, time_scales_s=(2 * DT, 10 * DT), stride=5)
    short, long = found.effective.to_dict("records")
    assert np.isnan(short["mean_by_particle"])
    assert short["particles"] == 0
    assert long["mean_by_particle"] > 0
    (said,) = [said for said in found.warnings if "No effective diffusivity is given" in said]
    assert f"{2 * DT:.3g} s" in said
    assert not any("No track is long enough" in said for said in found.warnings)


def test_a_reference_below_the_stride_becomes_the_first_time_scale_that_holds():
    tracks, _ = mixture(9, 0, 0, 30, 0, frames=60)
    made = {"time_scales_s": (2 * DT, 10 * DT), "stride": 5}
    assert mobility(tracks, DT, PIXEL, reference_s=2 * DT, **made).reference_s == 10 * DT
    made["time_scales_s"] = (2 * DT,)
    none = mobility(tracks, DT, PIXEL, reference_s=2 * DT, **made).fastest
    assert set(none["why_none"]) == {"no time scale is long enough"}
    assert none["as_observed_over_mean_by_chance"].isna().all()


def test_localisation_errors_spread_particles_that_are_alike():
    rng, ratios, told = np.random.default_rng(5), [], []
    for _ in range(8):
        paths = [np.cumsum(rng.normal(0, 0.2, (30, 2)), axis=0) for _ in range(100)]
        tracks = table(rng, paths, 0.3)
        (row,) = mobility(
            tracks, 1.0, PIXEL, time_scales_s=(1.0,), localisation_error_um=0.3
        ).effective.to_dict("records")
        ratios.append(row["median_by_particle"] / row["mean_by_particle"])
        told.append(row["median_by_particle_by_chance"] / row["mean_by_particle"])
    assert np.mean(told) < 0.95
    assert np.mean(told) == pytest.approx(np.mean(ratios), abs=0.04)


def test_the_median_of_particles_that_are_alike_is_below_their_mean_by_as_much_as_is_said():
    ratios = []
    for seed in range(6):
        tracks, _ = mixture(seed, 0, 0, 100, 0, frames=60)
        (row,) = mobility(tracks, DT, PIXEL, time_scales_s=(20 * DT,)).effective.to_dict("records")
        assert row["median_by_particle_by_chance"] < 0.9 * row["mean_by_particle"]
        ratios.append(row["median_by_particle"] / row["median_by_particle_by_chance"])
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)
