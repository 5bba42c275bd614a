"""What a person knows of a video: read as numbers, and refused at once where it cannot be."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from cloudtrainer.analysis import analyze
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.given_fields import GivenFields
from cloudtrainer.video import Video


def filled(**values):
    fields = GivenFields()
    for name, value in values.items():
        fields.widgets[name].value = value
    return fields


def test_every_field_is_a_keyword_of_analyze():
    known = set(inspect.signature(analyze).parameters)
    assert set(GivenFields().widgets) | {"twin"} <= known
    assert GivenFields().read() == {}


def test_what_is_given_is_read_as_numbers():
    fields = filled(
        temperature_K="25", particle_radius_um=" 0.1 ", time_scales_s="0.1, 1", frames="10",
        region="0, 0, 64,32", exposure_s="0",
    )  # fmt: skip
    fields.twin.value = True
    assert fields.read() == {
        "temperature_K": 298.15, "particle_radius_um": 0.1, "time_scales_s": [0.1, 1.0],
        "frames": [10, None], "region": [0, 0, 64, 32], "exposure_s": 0.0, "twin": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pixel_size_um": "0"}, "Pixel size"),
        ({"exposure_s": "-1"}, "Exposure"),
        ({"temperature_K": "298", "particle_radius_um": "0.1"}, "kelvin"),
        ({"temperature_K": "20"}, "radius"),
        ({"viscosity_Pa_s": "1e9", "temperature_K": "20"}, "viscosity"),
        ({"temperature_K": "nan"}, "Temperature"),
        ({"region": "1, 2"}, "four whole numbers"),
        ({"frames": "1.5"}, "Frames used"),
        ({"time_scales_s": "a"}, "Time scales"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(CloudTrainerError, match=said):
        filled(**given).read()


def test_what_was_typed_for_another_video_never_overrules_a_file_and_is_said():
    frames = np.zeros((2, 8, 8), np.uint8)
    unstated = Video(frames)
    stated = Video(frames, pixel_size_um=0.2, frame_interval_s=0.1)
    fields = GivenFields()
    fields.of_video(unstated, Path("a.tif"))
    for name, value in (("pixel_size_um", "0.1"), ("exposure_s", "0.01"), ("frames", "3")):
        fields.widgets[name].value = value
    fields.of_video(unstated, Path("a.tif"))
    assert fields.read() == {"pixel_size_um": 0.1, "exposure_s": 0.01, "frames": [3, None]}
    assert fields.note.object == ""
    fields.of_video(unstated, Path("b.tif"))
    assert fields.read() == {"pixel_size_um": 0.1, "exposure_s": 0.01}
    assert "Pixel size [um] 0.1, Exposure [s] 0.01" in fields.note.object
    fields.of_video(stated, Path("c.tif"))
    assert fields.read() == {"exposure_s": 0.01}
    fields.widgets["exposure_s"].value = ""
    assert fields.note.object == ""
