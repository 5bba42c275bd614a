import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import (
    calculate_msd,
    check_model,
    estimate_anomalous,
    estimate_diffusion,
    mean_squared_displacement,
)
from cloudtrainer.diffusion.tracks import steps_of, track_arrays
from cloudtrainer.errors import CalibrationError, ConfigError, LabelError


def straight(frames: list[int], particle: int = 7) -> pd.DataFrame:
    frame = np.array(frames)
    return pd.DataFrame({"particle": particle, "frame": frame, "x": 2.0 * frame, "y": -1.0 * frame})


def test_unsorted_rows_and_tracks_of_one_point():
    tracks = pd.concat([straight([3, 0, 1]), straight([5], particle=2)])
    arrays = track_arrays(tracks)
    assert arrays.particle.tolist() == [2, 7]
    assert arrays.frame.tolist() == [5, 0, 1, 3]
    steps = steps_of(arrays)
    assert steps.particle.tolist() == [7]
    assert steps.gap.tolist() == [1, 2]
    assert steps.displacement.tolist() == [[2.0, -1.0], [4.0, -2.0]]


def test_a_stride_gives_all_phases():
    steps = steps_of(track_arrays(straight([0, 1, 2, 3, 4, 6])), stride=2)
    # Phase 0: frames 0, 2, 4, 6; phase 1: frames 1, 3.
    assert np.diff(steps.start).tolist() == [3, 1]
    assert steps.gap.tolist() == [1, 1, 1, 1]
    assert steps.displacement[:, 0].tolist() == [4.0, 4.0, 4.0, 4.0]
    assert steps.owner.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="y"), ["'y'"]),
        (lambda t: t.assign(x=["1", "two", "3"]), ["'x'", "row 1", "two"]),
        (lambda t: t.assign(y=[0.0, 1.0, np.nan]), ["'y'", "row 2", "particle 7", "frame 2"]),
        (lambda t: t.assign(x=[0.0, np.inf, 1.0]), ["'x'", "row 1", "inf"]),
        (lambda t: t.assign(frame=[0.0, 1.5, 2.0]), ["'frame'", "row 1", "1.5"]),
        (lambda t: t.assign(frame=[0, 1, 1]), ["particle 7", "frame 1", "two positions"]),
        (lambda t: t.assign(particle=[7.0, np.nan, 7.0]), ["'particle'", "row 1"]),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda t: estimate_diffusion(t, 0.1, 0.1),
        lambda t: estimate_anomalous(t, 0.1, 0.1),
        mean_squared_displacement,
        check_model,
        calculate_msd,
    ],
)
def test_bad_tables_are_named(function, change, words):
    with pytest.raises(LabelError) as caught:
        function(change(straight([0, 1, 2])))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"frame_interval_s": 0.0}, "frame_interval_s"),
        ({"frame_interval_s": float("nan")}, "frame_interval_s"),
        ({"pixel_size_um": -0.1}, "pixel_size_um"),
        ({"exposure_s": 0.2}, "longer than the frame interval"),
        ({"exposure_s": -0.01}, "exposure_s"),
        ({"exposure_s": 0.05, "frame_interval_s": None}, "without frame_interval_s"),
        ({"exposure_s": 0.0, "localisation_error_um": -1.0}, "localisation_error_um"),
        ({"localisation_error_um": 0.02}, "without exposure_s"),
    ],
)
@pytest.mark.parametrize("function", [estimate_diffusion, estimate_anomalous])
def test_bad_calibration(function, arguments, words):
    known = {"frame_interval_s": 0.1, "pixel_size_um": 0.1} | arguments
    with pytest.raises(CalibrationError, match=words):
        function(straight([0, 1, 2]), **known)


@pytest.mark.parametrize(
    "arguments", [{"stride": 0}, {"stride": 1.5}, {"method": "wls"}, {"interval": "none"}]
)
def test_bad_settings(arguments):
    with pytest.raises(ConfigError):
        estimate_diffusion(straight([0, 1, 2]), 0.1, 0.1, **arguments)
