"""What a person knows of a video: read as numbers, and refused at once where it cannot be."""

import inspect

import pytest

from cloudtrainer.analysis import analyze
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.given_fields import GivenFields


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
