"""The kind of motion: likelihoods against brute force, calibration, and what is recognised."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import toeplitz

from cloudtrainer.diffusion import classify_motion
from cloudtrainer.diffusion.fractional import blocks_of
from cloudtrainer.diffusion.motion_lattice import motion_lattice
from cloudtrainer.diffusion.motion_together import fit_together
from cloudtrainer.diffusion.relaxation import columns_of, well_forms
from cloudtrainer.diffusion.steps import steps_of
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.errors import CalibrationError, LabelError

DT, PIXEL = 1 / 30, 0.1


def table(position):
    tracks, frames, _ = position.shape
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(tracks), frames),
            "frame": np.tile(np.arange(frames), tracks),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
        }
    )


def brownian(rng, tracks, frames, noise=0.3):
    path = np.cumsum(rng.normal(size=(tracks, frames, 2)), axis=1)
    return path + noise * rng.normal(size=path.shape)


def directed(rng, tracks, frames, speed, noise=0.3):
    angle = rng.uniform(0, 2 * np.pi, tracks)
    velocity = speed * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return brownian(rng, tracks, frames, noise) + velocity[:, None] * np.arange(frames)[:, None]


def caged(rng, tracks, frames, radius, noise=0.2, substeps=50):
    """Brownian motion between hard round walls: no harmonic well."""
    place = np.zeros((tracks, 2))
    path = np.empty((tracks, frames, 2))
    for frame in range(-20, frames):
        for _ in range(substeps):
            place = place + rng.normal(size=place.shape) / np.sqrt(substeps)
            distance = np.maximum(np.hypot(*place.T), 1e-9)
            inside = np.where(distance > radius, np.abs(2 * radius - distance), distance)
            place *= (inside / distance)[:, None]
        if frame >= 0:
            path[:, frame] = place
    return path + noise * rng.normal(size=path.shape)


def well(rng, tracks, frames, spread, rate, noise=0.2, exposed_substeps=0):
    """A harmonic well, averaged over a part of each frame where exposed."""
    substeps = 20 if exposed_substeps else 1
    q = np.exp(-rate / substeps)
    path = np.empty((tracks, frames * substeps, 2))
    path[:, 0] = spread * rng.normal(size=(tracks, 2))
    for i in range(1, frames * substeps):
        kick = spread * np.sqrt(1 - q**2) * rng.normal(size=(tracks, 2))
        path[:, i] = q * path[:, i - 1] + kick
    if exposed_substeps:
        path = path.reshape(tracks, frames, substeps, 2)[:, :, :exposed_substeps].mean(axis=2)
    return path + noise * rng.normal(size=path.shape)


def test_likelihoods_equal_the_matrices_they_stand_for():
    rng = np.random.default_rng(1)
    tracks = table(brownian(rng, 3, 40))
    tracks = tracks[~((tracks["particle"] == 1) & tracks["frame"].isin([12, 13, 30]))]
    steps = steps_of(track_arrays(tracks))
    columns = columns_of(blocks_of(steps))
    v = np.array([0.0, 0.4, 1.3])
    for q in (0.5, 0.95, 1.0):
        found = well_forms(columns, q, v)
        for i, part in enumerate(v):
            lag = np.arange(41.0)
            rise = lag if q == 1 else (1 - q**lag) / (1 - q)
            msd = np.where(lag > 0, part * rise + 1 - part, 0.0)
            for track in range(3):
                form = logs = weight = 0.0
                drift = np.zeros(2)
                rows = slice(steps.start[track], steps.start[track + 1])
                runs = np.split(
                    np.arange(rows.start, rows.stop),
                    np.flatnonzero(steps.gap[rows] > 1),
                )
                for run in runs:
                    x = steps.displacement[run[steps.gap[run] == 1]]
                    n = len(x)
                    gamma = np.r_[1.0, (msd[2 : n + 1] + msd[: n - 1] - 2 * msd[1:n]) / 2]
                    inverse = np.linalg.inv(toeplitz(gamma))
                    form += np.einsum("ia,ij,ja->", x, inverse, x)
                    logs -= 2 * np.linalg.slogdet(inverse)[1]
                    drift += inverse.sum(0) @ x
                    weight += inverse.sum()
                assert found.form[i, track] == pytest.approx(form, rel=1e-9)
                assert found.log_determinant[i, track] == pytest.approx(logs, abs=1e-8)
                np.testing.assert_allclose(found.drift[i, :, track], drift, rtol=1e-7, atol=1e-9)
                assert found.drift_weight[i, track] == pytest.approx(weight, rel=1e-8)


@pytest.mark.parametrize("kind", ["immobile", "confined", "brownian", "anomalous", "directed"])
def test_each_kind_is_recognised_in_an_ensemble(fractional_tracks, kind):
    rng = np.random.default_rng(2)
    tracks = {
        "immobile": lambda: table(rng.normal(size=(30, 40, 2))),
        "confined": lambda: table(well(rng, 30, 60, 1.5, 0.5)),
        "brownian": lambda: table(brownian(rng, 60, 60)),
        "anomalous": lambda: fractional_tracks(rng, 40, 120, alpha=0.6, sigma=0.02),
        "directed": lambda: table(directed(rng, 30, 40, 1.0)),
    }[kind]()
    found = classify_motion(tracks, DT, PIXEL)
    assert found.motion_model == kind, found.sentence
    assert np.isfinite(found.confinement_radius) == (kind == "confined")
    assert np.isfinite(found.speed) == (kind == "directed")


def test_the_radius_of_a_cage_with_hard_walls():
    rng = np.random.default_rng(3)
    found = classify_motion(table(caged(rng, 30, 100, 3.0)), DT, PIXEL)
    assert found.motion_model == "confined"
    # The uniform disc has the plateau R^2; a well is not quite a disc.
    assert found.confinement_radius == pytest.approx(0.3, rel=0.05)
    assert found.confinement_radius_error < 0.03


def test_the_radius_of_a_well_is_two_standard_deviations_also_under_exposure():
    rng = np.random.default_rng(4)
    tracks = table(well(rng, 30, 60, 2.0, 0.6, exposed_substeps=20))
    blurred = classify_motion(tracks, DT, PIXEL)
    found = classify_motion(tracks, DT, PIXEL, exposure_s=DT)
    assert found.confinement_radius == pytest.approx(0.4, abs=4 * found.confinement_radius_error)
    # sinh(x) / x with x = 0.3: what full exposure adds to the blurred radius.
    assert blurred.confinement_radius / found.confinement_radius == pytest.approx(1.015, abs=0.004)


def test_speeds_and_their_errors():
    rng = np.random.default_rng(5)
    tracks = table(directed(rng, 200, 60, 1.5))
    rows = classify_motion(tracks, DT, PIXEL, per_track=True)
    right = rows[rows["motion_model"] == "directed"]
    assert len(right) > 60
    truth = 1.5 * PIXEL / DT
    assert right["speed"].mean() == pytest.approx(truth, rel=0.05)
    assert right["speed"].std() == pytest.approx(right["speed_error"].mean(), rel=0.25)
    together = classify_motion(tracks, DT, PIXEL)
    assert together.speed == pytest.approx(truth, abs=4 * together.speed_error)
    in_frames = classify_motion(tracks, None, None)
    assert in_frames.speed == pytest.approx(together.speed * DT / PIXEL, rel=1e-9)
    assert (in_frames.length_unit, in_frames.time_unit) == ("px", "frame")


def test_single_tracks_of_Brownian_motion_are_hardly_ever_called_otherwise():
    rng = np.random.default_rng(6)
    for noise in (0.2, 1.0, 5.0):
        rows = classify_motion(table(brownian(rng, 500, 60, noise)), None, None, per_track=True)
        wrong = rows["motion_model"].isin(["confined", "anomalous", "directed"])
        # 1% by design; 2% of 500 is 10.
        assert wrong.sum() <= 10
        assert (rows.loc[rows["motion_model"] == "undetermined", "reason"] != "").all()
        assert (rows.loc[rows["motion_model"] != "undetermined", "reason"] == "").all()


def test_single_immobile_tracks():
    rng = np.random.default_rng(7)
    rows = classify_motion(table(rng.normal(size=(400, 150, 2))), None, None, per_track=True)
    assert (rows["motion_model"] == "immobile").mean() > 0.5
    assert rows["motion_model"].isin(["immobile", "undetermined"]).mean() >= 0.98


def test_rattling_faster_than_the_frames_shows_against_a_known_localisation_error():
    rng = np.random.default_rng(8)
    tracks = table(0.5 * rng.normal(size=(15, 60, 2)))
    found = classify_motion(tracks, DT, PIXEL, 0.0, 0.05)
    assert found.motion_model == "immobile"
    found = classify_motion(tracks, DT, PIXEL, 0.0, 0.03)
    assert found.motion_model == "confined"
    assert found.confinement_radius == pytest.approx(0.08, abs=4 * found.confinement_radius_error)
    rows = classify_motion(tracks, DT, PIXEL, 0.0, 0.03, per_track=True)
    assert (rows["motion_model"] == "confined").mean() > 0.3


def test_tracks_that_differ_are_not_called_one_kind():
    rng = np.random.default_rng(9)
    slow, fast = brownian(rng, 20, 60, 3.0), brownian(rng, 20, 60, 0.3)
    found = classify_motion(table(np.concatenate([slow, fast])), None, None)
    assert found.motion_model == "undetermined"
    assert "the tracks differ" in found.sentence


@pytest.mark.parametrize("frames", [200, 400])
def test_long_tracks_that_are_alike_are_not_said_to_differ(frames):
    # D = 0.2 um^2/s, 30 frames/s, localisation error 0.03 um: in steps of 1.155 px.
    rng = np.random.default_rng(13)
    found = classify_motion(table(brownian(rng, 40, frames, 0.3 / 1.155)), DT, PIXEL)
    assert found.motion_model == "brownian", found.sentence
    assert not found.tracks_differ


def test_a_fourfold_D_is_told_in_long_tracks():
    rng = np.random.default_rng(14)
    paths = np.concatenate([brownian(rng, 15, 200, 0.5), brownian(rng, 15, 200, 1.0)])
    found = classify_motion(table(paths), None, None)
    assert found.motion_model == "undetermined"
    assert found.tracks_differ


@pytest.mark.slow
@pytest.mark.parametrize("frames", [200, 400])
def test_the_difference_of_tracks_that_are_alike_follows_its_law(frames):
    rng = np.random.default_rng(15)
    kinds = {
        "brownian": lambda: brownian(rng, 40, frames, 0.3),
        "directed": lambda: directed(rng, 40, frames, 0.6),
        "confined": lambda: well(rng, 40, frames, 1.5, 0.5),
    }
    for name, paths in kinds.items():
        found = []
        for _ in range(8):
            blocks = blocks_of(steps_of(track_arrays(table(paths()))))
            found.append(fit_together(motion_lattice(blocks, 0.0, 1)).difference)
        # Chi-square with 39 degrees of freedom: 8 means scatter by 3.1.
        assert 27 < np.mean(found) < 39 * 1.2 + 4, name


def test_missing_frames_and_long_lags():
    rng = np.random.default_rng(10)
    tracks = table(directed(rng, 20, 60, 1.0))
    tracks = tracks[rng.random(len(tracks)) > 0.05]
    for stride in (1, 3):
        found = classify_motion(tracks, None, None, stride=stride)
        assert found.motion_model == "directed"
        assert found.speed == pytest.approx(1.0, abs=4 * found.speed_error)


def test_what_is_too_short_is_undetermined_with_a_reason():
    rng = np.random.default_rng(11)
    short = table(brownian(rng, 4, 8))
    long = table(brownian(rng, 1, 50)).assign(particle=9)
    still = table(np.zeros((1, 50, 2))).assign(particle=10)
    rows = classify_motion(pd.concat([short, long, still]), None, None, per_track=True)
    assert rows["particle"].tolist() == [0, 1, 2, 3, 9, 10]
    assert (rows["motion_model"][:4] == "undetermined").all()
    assert rows["reason"][:4].str.startswith("fewer than 10 displacements").all()
    assert rows["reason"][5] == "every displacement is exactly zero"
    assert rows["p_value"].notna().tolist() == [False] * 4 + [True, False]
    found = classify_motion(short, None, None)
    assert found.motion_model == "undetermined"
    assert np.isnan(found.p_value)
    empty = short.iloc[:0]
    assert classify_motion(empty, None, None).tracks == 0
    assert len(classify_motion(empty, None, None, per_track=True)) == 0


def test_a_straight_line_without_scatter_gives_no_warning_and_no_nan():
    line = np.arange(60.0)[None, :, None] * np.array([1.0, 0.5])
    with np.errstate(all="raise"):
        row = classify_motion(table(line), None, None, per_track=True).iloc[0]
    assert row["motion_model"] in ("directed", "undetermined")
    assert np.isfinite(row["p_value"])


def test_bad_input_says_what_is_wrong():
    tracks = table(np.zeros((1, 20, 2)))
    with pytest.raises(LabelError, match="no column 'x'"):
        classify_motion(tracks.drop(columns="x"), None, None)
    with pytest.raises(CalibrationError, match="exposure_s"):
        classify_motion(tracks, DT, PIXEL, exposure_s=1.0)


@pytest.mark.slow
def test_false_alarms_of_ensembles():
    rng = np.random.default_rng(12)
    said = [
        classify_motion(table(brownian(rng, 20, 30, 0.7)), None, None).motion_model
        for _ in range(200)
    ]
    # A true 1% exceeds 6 once in 200 trials.
    assert sum(kind in ("confined", "anomalous", "directed", "immobile") for kind in said) <= 6


def test_too_few_displacements_over_several_frames_are_called_so():
    tracks = table(brownian(np.random.default_rng(21), 3, 15))
    rows = classify_motion(tracks, None, None, per_track=True, stride=5)
    assert set(rows["reason"]) == {"fewer than 10 independent displacements over 5 frames"}
    assert (
        "no track has 10 independent displacements over 5 frames"
        in classify_motion(tracks, None, None, stride=5).sentence
    )
    short = tracks[tracks["frame"] < 8]
    (reason,) = set(classify_motion(short, None, None, per_track=True)["reason"])
    assert reason == "fewer than 10 displacements from frame to frame"
