"""The form: what is shown of each setting, what it reads back, and what it says of wrong values."""

import json

import pytest

from cloudtrainer.config import Config, setting_fields
from cloudtrainer.errors import ConfigError
from cloudtrainer.studio.fields import FASTER, form_fields
from cloudtrainer.studio.form import SettingsForm
from cloudtrainer.studio.presets import AS_SET, PRESETS, preset_of, with_preset

# One other value of each setting, as it may be given, and what it then is.
OTHERS = {
    "switch": lambda default, field: not default,
    "choice": lambda default, field: next(one for one in field.choices if one != default),
}
NUMBERS = {
    "training.validation_split": "0.25",
    "training.hold_out": "videos",
    "training.crop_px": "96",
    "training.rehearsal_share": "0.25",
    "training.gradient_clip": "2.5",
    "model.context_frames": "1",
    "optics.numerical_aperture": "0.7",
    "camera.bits": "12",
    "analysis.threshold": "0.5",
    "analysis.min_relative_probability": "0.5",
}
# Settings that are valid only beside another value of a second one.
NEEDED = {"analysis.split_merge_range_px": ("analysis.linking_engine", "laptrack")}
TEXTS = {"model.name": "gold beads, «60 nm»", "training.strategy": "ddp"}
SEVERAL = {
    "model.unet_channels": ("8, 16", [8, 16]),
    "model.grid_channels": ("[16,32]", [16, 32]),
    "scenes.spot_sigma_px": ("1.5, 2", {"low": 1.5, "high": 2.0}),
    "scenes.peak_snr": ("(2, 20)", {"low": 2.0, "high": 20.0}),
    "scenes.density_per_1000_px2": ("0.1 , 4", {"low": 0.1, "high": 4.0}),
    "scenes.background_photons": ("10, 100", {"low": 10.0, "high": 100.0}),
    "optics.defocus_um": ("-2, 0.5", {"low": -2.0, "high": 0.5}),
}


def other_value(name, field, default):
    """Return a valid value that is not the default: what is typed, and what it must become."""
    if field.kind in OTHERS:
        value = OTHERS[field.kind](default, field)
        return value, value
    if field.kind == "text":
        return TEXTS[name], TEXTS[name]
    if field.kind == "several":
        return SEVERAL[name]
    text = NUMBERS.get(name, "4.5" if default is None else None)
    if text is None:
        text = str(default + 1) if isinstance(default, int) else f"{default * 0.9 or 0.1:.6g}"
    return text, json.loads(text)


@pytest.fixture(scope="module")
def form():
    return SettingsForm()


@pytest.fixture(scope="module")
def another_form():
    return SettingsForm()


def test_every_setting_is_in_the_form_once_with_help_and_a_label_of_its_own():
    fields = form_fields()
    assert set(fields) == set(setting_fields())
    assert len({field.label for field in fields.values()}) == len(fields)
    for name, field in fields.items():
        assert field.help, name
        assert field.range, name


@pytest.mark.parametrize("name", list(setting_fields()))
def test_another_value_of_each_setting_goes_through_the_form_and_back(name, form, another_form):
    form.config = Config()
    section, _, key = name.partition(".")
    default = Config().to_dict()[section][key]
    typed, wanted = other_value(name, form.fields[name], default)
    assert wanted != default
    if name in NEEDED:
        other, value = NEEDED[name]
        form.widgets[other].value = value
    form.widgets[name].value = typed
    assert form.faults == {}
    assert form.config.to_dict()[section][key] == wanted
    # Shown anew it is the same: nothing is rounded away.
    another_form.config = form.config
    assert another_form.config == form.config


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("training.epochs", "0", "greater than or equal to 1"),
        ("training.epochs", "ten", "whole number"),
        ("training.epochs", "2.5", "whole number"),
        ("training.epochs", "true", "whole number"),
        ("training.epochs", "", "whole number"),
        ("training.learning_rate", "1", "less than or equal to 0.1"),
        ("training.learning_rate", "nan", "number"),
        ("training.validation_split", "0.5", "less than or equal to 0.4"),
        ("model.name", "", "at least 1 character"),
        ("model.grid_channels", "32, a", "numbers with commas"),
        ("model.grid_channels", "2", "greater than or equal to 4"),
        ("scenes.peak_snr", "5", "two limits"),
        ("scenes.peak_snr", "5, 1", "must rise"),
        ("analysis.threshold", "1.5", "less than 1"),
    ],
)
def test_a_wrong_value_is_told_beside_it_and_nowhere_taken(name, typed, said, form):
    form.config = Config()
    form.widgets[name].value = typed
    assert said in form.faults[name]
    assert said in form.notes[name].object
    with pytest.raises(ConfigError):
        _ = form.config
    form.config = Config()
    assert form.faults == {}
    assert said not in form.notes[name].object


def test_settings_that_contradict_each_other_are_told_above(form):
    form.config = Config()
    form.widgets["model.architecture"].value = "unet"
    form.widgets["model.context_frames"].value = "1"
    assert "needs the grid network" in form.faults["model"]
    assert "needs the grid network" in form.trouble.object


def test_what_is_typed_is_shown_as_text(form):
    form.config = Config()
    form.widgets["scenes.peak_snr"].value = "<script>alert(1)</script>"
    shown = form.notes["scenes.peak_snr"].object + form.trouble.object
    assert "<script>" not in shown


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_valid_is_known_again_and_leaves_the_rest(name, form):
    form.config = Config.from_dict({"training": {"seed": 7}, "model": {"name": "mine"}})
    form.presets.value = name
    assert preset_of(form.config) == name
    assert form.config.training.seed == 7
    assert form.config.model.name == "mine"
    form.widgets["training.epochs"].value = "7"
    assert form.presets.value == AS_SET


def test_the_standard_preset_is_the_default():
    assert with_preset(Config(), "standard") == Config()


def test_what_makes_training_faster_is_marked(form):
    form.config = Config()
    for name, words in FASTER.items():
        assert words in form.notes[name].object


def test_settings_are_saved_and_loaded(form, tmp_path):
    form.config = Config.from_dict({"training": {"epochs": 12}})
    form.save(tmp_path / "config.json")
    form.config = Config()
    form.load(tmp_path / "config.json")
    assert form.widgets["training.epochs"].value == "12"
    (tmp_path / "old.json").write_text(json.dumps(Config.version_3().to_dict()))
    form.load(tmp_path / "old.json")
    assert form.config == Config.version_3()
    (tmp_path / "bad.json").write_text('{"training": {"epochs": 0}}')
    with pytest.raises(ConfigError, match="epochs"):
        form.load(tmp_path / "bad.json")
    assert form.config == Config.version_3()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "no settings"),
        (b'{"training": {"epochs": 0}}', "epochs"),
        (b'{"speed": 1}', "no such setting"),
    ],
)
def test_a_file_given_in_the_browser_that_is_no_config_changes_nothing(content, said, form):
    form.config = before = Config.from_dict({"training": {"epochs": 3}})
    form._load.filename = "<b>.json"
    form._load.value = content
    assert said in form.trouble.object
    assert "<b>" not in form.trouble.object
    assert form.config == before
    form._load.value = json.dumps({"training": {"epochs": 4}}).encode()
    assert form.config.training.epochs == 4


def test_a_form_of_some_settings_keeps_the_others():
    config = Config.from_dict({"training": {"epochs": 3}})
    form = SettingsForm(config, names=["analysis.memory_frames"])
    form.widgets["analysis.memory_frames"].value = "1"
    assert list(form.widgets) == ["analysis.memory_frames"]
    assert form.config.training.epochs == 3
    assert form.config.analysis.memory_frames == 1


def test_who_listens_is_told_of_each_change(form):
    told = []
    form.on_change(lambda: told.append(1))
    form.config = Config()
    assert len(told) == 1
    form.widgets["training.epochs"].value = "3"
    assert len(told) == 2
