"""Settings: earlier versions' files load, unknown keys and values out of range are refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrainer.config import Config, ExperimentSettings, setting_fields
from cloudtrainer.errors import ConfigError

VERSION_2 = {
    "model": {
        "name": "particle_detector_v2",
        "architecture": "unet",
        "unet_channels": [16, 32, 64],
    },
    "training": {
        "epochs": 45,
        "batch_size": 4,
        "learning_rate": 3e-4,
        "validation_split": 0.25,
        "incremental": False,
    },
    "augmentation": {
        "enabled": True,
        "flip_lr": True,
        "flip_ud": False,
        "rotate": True,
        "brightness": False,
    },
    "data": {"particle_radius": 5},
}
VERSION_3 = {
    **VERSION_2,
    "model": {**VERSION_2["model"], "name": "particle_detector_v3"},
    "training": {
        **VERSION_2["training"],
        "mixed_precision": True,
        "early_stopping": False,
        "gradient_clip": 0.5,
    },
}


@pytest.mark.parametrize("earlier", [VERSION_2, VERSION_3], ids=["2.0", "3.0"])
def test_an_earlier_config_json_loads_with_every_value_kept(tmp_path, earlier):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(earlier))
    loaded = Config.load(path).to_dict()
    kept = {
        section: {key: loaded[section][key] for key in values}
        for section, values in earlier.items()
    }
    assert kept == earlier


# The ends of the ranges of the form of versions 2.0 and 3.0.
@pytest.mark.parametrize(
    ("section", "key", "values"),
    [
        ("training", "epochs", [10, 100]),
        ("training", "batch_size", [2, 4, 8, 16]),
        ("training", "learning_rate", [1e-6, 1e-2]),
        ("training", "validation_split", [0.1, 0.4]),
        ("training", "gradient_clip", [0.1, 5.0]),
        ("data", "particle_radius", [1, 10]),
    ],
)
def test_whatever_an_earlier_form_could_give_is_valid(section, key, values):
    for value in values:
        config = Config.from_dict({section: {key: value}})
        assert getattr(getattr(config, section), key) == value


def test_defaults_shared_with_version_3():
    config = Config()
    assert config.training.epochs == 30
    assert config.training.validation_split == 0.2
    assert config.training.patience == 10
    assert config.training.gradient_clip == 1.0
    assert config.training.incremental
    assert config.data.particle_radius == 3
    assert config.model.unet_channels == [16, 32, 64]


def test_what_is_written_is_read_back_the_same(tmp_path):
    config = Config.from_dict(
        {"analysis": {"search_range_px": 12.5, "polarity": "dark"}, "scenes": {"peak_snr": [2, 9]}}
    )
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()))
    again = Config.load(path)
    assert again == config
    assert again.scenes.peak_snr.low == 2
    assert again.scenes.peak_snr.high == 9


def test_two_configs_share_no_lists():
    first, second = Config(), Config()
    first.model.unet_channels.append(128)
    assert second.model.unet_channels == [16, 32, 64]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trainig": {}}, r"^trainig: no such setting$"),
        ({"training": {"epoch": 3}}, r"^training\.epoch: no such setting$"),
        ({"training": {"epochs": 0}}, r"^training\.epochs: .*greater than or equal to 1.*got 0"),
        ({"training": {"epochs": "many"}}, r"^training\.epochs: .*integer.*got 'many'"),
        ({"training": {"batch_size": 8.5}}, r"^training\.batch_size: "),
        ({"training": {"learning_rate": 1.0}}, r"^training\.learning_rate: "),
        ({"training": {"learning_rate": float("nan")}}, r"^training\.learning_rate: "),
        ({"training": {"validation_split": 0.5}}, r"^training\.validation_split: "),
        ({"training": {"simulated_share": -0.1}}, r"^training\.simulated_share: "),
        ({"training": []}, r"^training: "),
        ({"model": {"architecture": "yolo"}}, r"^model\.architecture: .*'grid' or 'unet'"),
        ({"model": {"unet_channels": [16, 2]}}, r"^model\.unet_channels\.1: "),
        ({"model": {"unet_channels": []}}, r"^model\.unet_channels: "),
        ({"model": {"grid_channels": []}}, r"^model\.grid_channels: "),
        ({"model": {"name": ""}}, r"^model\.name: "),
        ({"data": {"particle_radius": 11}}, r"^data\.particle_radius: "),
        ({"scenes": {"peak_snr": [9, 2]}}, r"^scenes\.peak_snr: .*9.* to 2.*rise"),
        ({"scenes": {"peak_snr": [-1, 2]}}, r"^scenes\.peak_snr: "),
        ({"scenes": {"peak_snr": [float("nan"), 2]}}, r"^scenes\.peak_snr\.low: .*finite"),
        ({"scenes": {"peak_snr": [1, float("inf")]}}, r"^scenes\.peak_snr"),
        ({"scenes": {"peak_snr": [1, 2, 3]}}, r"^scenes\.peak_snr: "),
        ({"analysis": {"threshold": 1.0}}, r"^analysis\.threshold: "),
        ({"analysis": {"search_range_px": 0}}, r"^analysis\.search_range_px: "),
        ({"analysis": {"search_range_px": float("nan")}}, r"^analysis\.search_range_px: "),
        ({"analysis": {"search_range_px": float("inf")}}, r"^analysis\.search_range_px: "),
        ({"analysis": {"drift": "mean"}}, r"^analysis\.drift: "),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(values, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Config.from_dict(values)
    assert "\n" not in str(caught.value)


def test_every_wrong_setting_is_named_at_once():
    wrong = {"training": {"epochs": 0, "seed": -1}, "data": {"radius": 3}}
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(wrong)
    for name in ("training.epochs", "training.seed", "data.radius"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe\x00", "cannot be read as JSON"),
        (b"[1, 2]", "expected an object"),
        (b"null", "expected an object"),
        (b'{"training": {"epochs": -1}}', r"training\.epochs"),
    ],
)
def test_a_file_that_holds_no_settings_is_named(tmp_path, content, said):
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        Config.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.json.*No such file"):
        Config.load(tmp_path / "nowhere.json")


def fields_of(model, path=""):
    for name, field in model.model_fields.items():
        inner = field.annotation
        if hasattr(inner, "model_fields") and field.description is None:
            yield from fields_of(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


SETTINGS = dict(fields_of(Config)) | {
    f"experiment.{name}": field for name, field in ExperimentSettings.model_fields.items()
}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_has_a_line_of_help(name):
    help_line = SETTINGS[name].description
    assert help_line is not None
    assert help_line.endswith(".")
    assert "\n" not in help_line


@pytest.mark.parametrize(
    "name", [name for name in sorted(SETTINGS) if name.rpartition("_")[2] in {"px", "um", "s"}]
)
def test_a_setting_whose_name_carries_a_unit_states_it(name):
    extra = SETTINGS[name].json_schema_extra
    assert (
        extra["unit"]
        == {"px": "px", "um": "um", "s": "um²/s" if "D_um2" in name else "s"}[
            name.rpartition("_")[2]
        ]
    )


def test_an_exposure_longer_than_the_frame_interval_is_refused():
    with pytest.raises(ValueError, match="exposure_s is longer than frame_interval_s"):
        ExperimentSettings(frame_interval_s=0.01, exposure_s=0.02)
    assert ExperimentSettings(frame_interval_s=0.01, exposure_s=0.01).exposure_s == 0.01


@given(
    st.dictionaries(
        st.sampled_from([*Config.model_fields, "other"]),
        st.dictionaries(
            st.text(max_size=8).map("{}?".format),
            st.none() | st.booleans() | st.floats() | st.text(max_size=8),
            min_size=1,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_made_up_keys_are_always_a_config_error(values):
    with pytest.raises(ConfigError, match="no such setting"):
        Config.from_dict(values)


# Settings given one at a time, as section.key=value


def test_pairs_can_say_every_setting():
    given = Config.version_3().to_dict()
    pairs = [
        f"{section}.{key}={json.dumps(value)}"
        for section, values in given.items()
        for key, value in values.items()
    ]
    assert len(pairs) == len(setting_fields())
    assert Config().with_values(pairs) == Config.version_3()


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("training.epochs=7", 7),
        (" training.epochs = 7 ", 7),
        ("training.learning_rate=1e-4", 1e-4),
        ("training.learning_rate=.01", 0.01),
        ("training.incremental=false", False),
        ("training.incremental=False", False),
        ("training.strategy=ddp", "ddp"),
        ("model.name=2024", "2024"),
        ('model.name="2024"', "2024"),
        ("model.name=a=b", "a=b"),
        ("model.name=null", "null"),
        ("model.grid_channels=[8, 16]", [8, 16]),
        ("analysis.drift=none", "none"),
        ("analysis.threshold=0.25", 0.25),
        ("analysis.threshold=null", None),
        ("analysis.threshold=", None),
    ],
)
def test_a_pair_sets_its_value_in_a_new_config(pair, value):
    before = Config.from_dict({"analysis": {"threshold": 0.5}})
    after = before.with_values([pair])
    section, _, key = pair.partition("=")[0].strip().partition(".")
    assert getattr(getattr(after, section), key) == value
    assert before.analysis.threshold == 0.5
    assert before.training == Config().training
    assert after != before


def test_of_two_pairs_for_one_setting_the_last_counts():
    after = Config().with_values(["training.seed=1", "training.seed=2"])
    assert after.training.seed == 2


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("training.epochs", r"'training\.epochs': give section\.key=value"),
        ("", r"give section\.key=value"),
        ("=3", r"^'': no such setting"),
        ("gradient_clip=0.5", r"the nearest is training\.gradient_clip;"),
        ("model.epochs=3", r"the nearest is twin\.epochs;"),
        ("trainig.seed=3", r"the nearest is training\.seed;"),
        ("analysis.search_range=3", r"the nearest is analysis\.search_range_px;"),
        ("scenes.peak_snr.low=3", r"the nearest is scenes\.peak_snr;"),
        ("training.epochs=0", r"^training\.epochs: .*got 0"),
        ("training.epochs=many", r"^training\.epochs: .*got 'many'"),
        ("training.learning_rate=NaN", r"^training\.learning_rate: "),
        ("training.strategy=", r"^training\.strategy: "),
        ("model.architecture=yolo", r"^model\.architecture: .*'grid' or 'unet'"),
        ("model.grid_channels=32", r"^model\.grid_channels: "),
        ("model.grid_channels=" + "[" * 20_000, r"^model\.grid_channels: "),
    ],
)
def test_a_wrong_pair_is_refused_in_one_line(pair, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Config().with_values([pair])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(setting_fields()))
def test_a_name_that_lacks_a_letter_is_recognised(name):
    for place in range(len(name)):
        wrong = name[:place] + name[place + 1 :]
        with pytest.raises(ConfigError, match=rf"the nearest is {name};"):
            Config().with_values([f"{wrong}=1"])


# The form of version 3.0: default, and the ends of what it offered.
VERSION_3_FORM = {
    "model.name": ("particle_detector_v3", []),
    "model.architecture": ("unet", []),
    "model.unet_channels": ([16, 32, 64], []),
    "training.epochs": (30, [10, 100]),
    "training.batch_size": (8, [2, 4, 16]),
    "training.learning_rate": (1e-4, [1e-6, 1e-2]),
    "training.validation_split": (0.2, [0.1, 0.4]),
    "training.incremental": (True, [False]),
    "training.mixed_precision": (True, [False]),
    "training.early_stopping": (True, [False]),
    "training.patience": (10, []),
    "training.gradient_clip": (1.0, [0.1, 5.0]),
    "training.plateau_factor": (0.5, []),
    "training.plateau_patience": (5, []),
    "augmentation.enabled": (True, [False]),
    "augmentation.flip_lr": (True, [False]),
    "augmentation.flip_ud": (True, [False]),
    "augmentation.rotate": (True, [False]),
    "augmentation.brightness": (True, [False]),
    "data.particle_radius": (3, [1, 10]),
}


@pytest.mark.parametrize("name", VERSION_3_FORM)
def test_the_form_of_version_3_has_its_defaults_and_takes_its_ranges(name):
    section, _, key = name.partition(".")
    default, others = VERSION_3_FORM[name]
    assert Config.version_3().to_dict()[section][key] == default
    for base in (Config(), Config.version_3()):
        for value in others:
            changed = base.with_values([f"{name}={json.dumps(value)}"])
            assert changed.to_dict()[section][key] == value


def test_splits_need_the_engine_that_knows_them():
    with pytest.raises(ConfigError, match="needs the linking_engine laptrack"):
        Config.from_dict({"analysis": {"split_merge_range_px": 3}})


def test_settings_that_do_not_go_together_are_one_sentence():
    with pytest.raises(ConfigError) as raised:
        Config.from_dict({"analysis": {"split_merge_range_px": 3.0}})
    assert str(raised.value) == "split_merge_range_px needs the linking_engine laptrack"
