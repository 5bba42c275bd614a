"""The command line: what it takes, what it hands on, what it prints."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile

from cloudtrainer import cli
from cloudtrainer.config import Config
from cloudtrainer.version import __version__

VERBS = [
    "init", "simulate", "train", "twin", "models", "export", "analyze", "compare", "score",
    "studio", "demo", "info", "settings",
]  # fmt: skip


@pytest.fixture
def handed_on(monkeypatch):
    """Record what `analyze` is called with, in place of analysing."""
    calls = []

    def record(videos, out, model, **settings):
        calls.append(SimpleNamespace(videos=videos, out=out, model=model, **settings))
        return "analysed"

    monkeypatch.setattr("cloudtrainer.analysis.analyze", record)
    return calls


def test_help_names_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from cloudtrainer import cli\n"
        "sys.argv = ['cloudtrainer', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit as left: assert not left.code\n"
        "heavy = {'torch', 'lightning', 'matplotlib', 'scipy', 'pandas', 'trackpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^│ (\w+) ", done.stdout, re.MULTILINE)
    assert shown == [*VERBS, "labels", "tracks"]


def test_the_module_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "cloudtrainer", "--help"], capture_output=True, text=True, check=True
    )
    assert " Usage: cloudtrainer " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_a_line_of_help(command, verb):
    code, text, _ = command(verb, "--help")
    assert code == 0
    options = [line for line in text.splitlines() if re.search(r"\s--[a-zA-Z]", line)]
    assert options
    for line in options:
        # What follows the flags and the type: words, not only a default.
        words = re.sub(r"\[(default|required)[^]]*\]|--?[\w-]+|<[^>]*>|[A-Z]\b", " ", line)
        assert re.search(r"[A-Za-z]{3,}", words), line


@pytest.mark.parametrize(
    ("option", "unit"),
    [
        ("--pixel-size-um", "[um]"),
        ("--frame-interval-s", "[s]"),
        ("--exposure-s", "[s]"),
        ("--particle-radius-um", "[um]"),
        ("--viscosity-pa-s", "[Pa s]"),
        ("--temperature-c", "[degrees Celsius]"),
        ("--search-range", "[px]"),
        ("--memory", "[frames]"),
        ("--region", "[px]"),
    ],
)
def test_options_with_a_unit_say_it(command, option, unit):
    _, text, _ = command("analyze", "--help")
    line = next(line for line in text.splitlines() if f" {option} " in line)
    assert unit in line


def test_what_is_not_given_is_left_to_the_file_and_the_settings(command, handed_on):
    code, output, _ = command("analyze", "v.tif", "-o", "out")
    assert code == 0
    (call,) = handed_on
    assert call.videos == ["v.tif"]
    assert str(call.out) == "out"
    for name in (
        "model", "pixel_size_um", "frame_interval_s", "exposure_s", "frames", "region", "channel",
        "plane", "temperature_K", "particle_radius_um", "viscosity_Pa_s", "wall_distance_um",
        "static_error_um",
    ):  # fmt: skip
        assert getattr(call, name) is None
    assert call.overwrite is False
    assert call.config.analysis == type(call.config.analysis)()
    assert output.splitlines() == ["analysed", "Report: out/report.html"]


def test_what_is_given_arrives(command, handed_on):
    code, *_ = command(
        "analyze", "a.tif", "b.tif", "-o", "out", "--model", "v_1", "--pixel-size-um", "0.1",
        "--frame-interval-s", "0.05", "--exposure-s", "0.01", "--search-range", "7.5", "--memory",
        "1", "--min-track-frames", "9", "--threshold", "0.3", "--polarity", "dark", "--drift",
        "none", "--frames", "10:20", "--region", "1,2,30,40", "--channel", "1", "--plane", "2",
        "--overwrite",
    )  # fmt: skip
    assert code == 0
    (call,) = handed_on
    assert call.videos == ["a.tif", "b.tif"]
    assert call.model == "v_1"
    assert (call.pixel_size_um, call.frame_interval_s, call.exposure_s) == (0.1, 0.05, 0.01)
    assert (call.frames, call.region) == ((10, 20), (1, 2, 30, 40))
    assert (call.channel, call.plane, call.overwrite) == (1, 2, True)
    settings = call.config.analysis
    assert (settings.search_range_px, settings.memory_frames) == (7.5, 1)
    assert (settings.min_track_frames, settings.threshold) == (9, 0.3)
    assert (settings.polarity, settings.drift) == ("dark", "none")


def test_degrees_celsius_arrive_as_kelvin_and_errors_as_shares(command, handed_on):
    code, *_ = command(
        "analyze", "v.tif", "-o", "out", "--temperature-c", "37", "--temperature-error-k", "0.5",
        "--particle-radius-um", "0.1", "--particle-radius-relative-error", "0.05",
        "--viscosity-pa-s", "7e-4", "--viscosity-relative-error", "0.02", "--wall-distance-um", "5",
        "--static-error-um", "0.02", "--time-scale-s", "0.1", "--time-scale-s", "2",
        "--static-specks", "keep", "--doubtful-spots", "keep",
    )  # fmt: skip
    assert code == 0
    (call,) = handed_on
    assert call.temperature_K == pytest.approx(310.15)
    assert (call.particle_radius_um, call.viscosity_Pa_s) == (0.1, 7e-4)
    assert (call.particle_radius_relative_error, call.viscosity_relative_error) == (0.05, 0.02)
    assert (call.temperature_error_K, call.wall_distance_um) == (0.5, 5.0)
    assert (call.static_error_um, call.time_scales_s) == (0.02, [0.1, 2.0])
    assert call.config.analysis.static_specks == "keep"
    assert call.config.analysis.doubtful_spots == "keep"


@pytest.mark.parametrize(
    ("text", "frames"),
    [("0:5", (0, 5)), (":5", (0, 5)), ("3:", (3, None)), (":", (0, None)), (" 1 : 2 ", (1, 2))],
)
def test_frames_may_be_open_at_either_end(command, handed_on, text, frames):
    command("analyze", "v.tif", "-o", "out", "--frames", text)
    assert handed_on[0].frames == frames


def test_nothing_but_the_complaint_is_on_the_error_stream(command, handed_on):
    _, _, complaints = command("analyze", "v.tif", "-o", "out")
    assert complaints == ""


@pytest.mark.parametrize(
    "argv",
    [
        ("analyze",),
        ("analyze", "v.tif"),
        ("analyze", "v.tif", "-o", "out", "--no-such-option"),
        ("analyze", "v.tif", "-o", "out", "--pixel-size-um", "small"),
        ("analyse", "v.tif"),
    ],
)
def test_a_mistyped_command_exits_with_2(command, handed_on, argv):
    code, output, complaints = command(*argv)
    assert code == 2
    assert not handed_on
    assert output == ""
    assert "Traceback" not in complaints
    assert "--help" in complaints
    assert complaints.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pixel-size-um", "0,1"), "--pixel-size-um 0,1: write the number with a point, 0.1"),
        (("--exposure-s=,01",), "--exposure-s ,01: write the number with a point, .01"),
        (("--time-scale-s", "1", "--time-scale-s", "1[s]"), "--time-scale-s 1[s]: is no number"),
        (("--memory", "1.5"), "--memory 1.5: is no whole number; give one, such as 3"),
    ],
)
def test_a_number_that_is_none_is_told_as_it_was_written(command, handed_on, words, said):
    code, _, complaints = command("analyze", "v.tif", "-o", "out", *words)
    assert code == 2
    assert not handed_on
    assert complaints.startswith(f"error: {said}")
    assert complaints.count("\n") == 1


def test_without_a_verb_there_is_help_and_no_error(command):
    code, output, complaints = command()
    assert (code, complaints) == (2, "")
    assert "analyze" in output
    _, output, complaints = command("tracks")
    assert complaints == ""
    assert "convert" in output


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--polarity", "[auto|bright|dark]"),
        ("--static-specks", "[mask|keep]"),
        ("--drift", "[auto|none]"),
        ("--engine", "[trackpy|laptrack]"),
        ("--search-range", "; default: from the measured steps"),
    ],
)
def test_options_name_the_words_to_choose_from(command, option, said):
    _, text, _ = command("analyze", "--help")
    line = next(line for line in text.splitlines() if f" {option} " in line)
    after = " ".join(part.strip(" │") for part in text.partition(line)[2].splitlines()[:4])
    assert said in re.sub(r" +", " ", f"{line.strip(' │')} {after}")
    assert "empty:" not in text


def test_the_version_is_said(command):
    code, printed, _ = command("--version")
    assert code == 0
    assert printed.strip() == f"cloudtrainer {__version__}"


def test_init_makes_a_workspace_and_says_what_goes_where(command, tmp_path):
    place = tmp_path / "Studio [1]"
    code, output, _ = command("init", place)
    assert code == 0
    for folder in ("training_data/videos", "training_data/annotations", "models", "results"):
        assert (place / folder).is_dir()
        assert folder in output or folder in ("models", "results")
    assert "frame,x,y" in output


def test_info_shows_the_calibration_or_that_it_is_unknown(command, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (4, 16, 24), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "plain.tif", frames, photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "imagej.tif",
        frames,
        imagej=True,
        resolution=(5.0, 5.0),
        metadata={"unit": "um", "finterval": 0.25, "axes": "TYX"},
    )
    _, text, _ = command("info", tmp_path / "plain.tif")
    assert re.search(r"frames: +4\n", text)
    assert re.search(r"size: +24 x 16 px", text)
    assert text.count("unknown") == 3
    _, text, _ = command("info", tmp_path / "imagej.tif")
    assert re.search(r"pixel size: +0.2 um", text)
    assert re.search(r"frame interval: +0.25 s", text)
    assert re.search(r"calibration: +ImageJ", text)


def test_info_alone_shows_the_version_and_the_bundled_model(command):
    code, text, _ = command("info")
    assert code == 0
    assert __version__ in text
    assert re.search(r"bundled model: .*\d parameters", text)


def test_simulate_writes_what_analyze_reads(command, tmp_path):
    video = tmp_path / "v.ome.tif"
    asked = ["--frames", "5", "--width-px", "48", "--height-px", "32", "--particles", "3"]
    code, output, _ = command("simulate", "-o", video, *asked)
    assert code == 0
    truth = next(path for path in tmp_path.iterdir() if path.suffix == ".csv")
    assert truth.name in output
    _, text, _ = command("info", video)
    assert re.search(r"size: +48 x 32 px", text)
    assert re.search(r"pixel size: +0.1 um", text)
    assert re.search(r"frame interval: +0.0333333 s", text)
    code, _, complaints = command("simulate", "-o", video, *asked)
    assert code == 2
    assert "--overwrite" in complaints


def test_a_video_of_invisible_particles_is_refused(tmp_path, capsys, monkeypatch):
    words = ["cloudtrainer", "simulate", "-o", str(tmp_path / "v.ome.tif"), "--min-peak-snr", "0"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "peak_snr must be above 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# Training. What the verbs hand on is recorded by a stand-in of the room; trainings have their own
# tests.


@pytest.fixture
def trained(monkeypatch):
    """Record what `train` is called with, in place of training."""
    calls = []

    def record(workspace, config, *, resume, start, twins):
        calls.append(
            SimpleNamespace(
                workspace=workspace, config=config, resume=resume, start=start, twins=twins
            )
        )
        return "[b]trained[/b]"

    monkeypatch.setattr("cloudtrainer.training.train", record)
    return calls


def settings_that_differ(config, other):
    return {
        f"{section}.{key}": value
        for section, values in config.to_dict().items()
        for key, value in values.items()
        if value != other.to_dict()[section][key]
    }


def test_train_takes_the_defaults_where_nothing_is_given(command, trained):
    code, output, complaints = command("train", "place")
    assert (code, output, complaints) == (0, "[b]trained[/b]\n", "")
    (call,) = trained
    assert call.workspace == Path("place")
    assert call.config == Config()
    assert call.start is None
    assert call.resume is True


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["--epochs", "7"], {"training.epochs": 7}),
        (["--batch-size", "9"], {"training.batch_size": 9}),
        (["--learning-rate", "1e-4"], {"training.learning_rate": 1e-4}),
        (["--simulated-share", "0"], {"training.simulated_share": 0.0}),
        (["--rehearsal-share", "0"], {"training.rehearsal_share": 0.0}),
        (["--seed", "11"], {"training.seed": 11}),
        (["--full"], {"training.incremental": False}),
        (["--simulate-unlabelled"], {"training.unlabelled": "simulate"}),
        (["--devices", "2"], {"training.devices": 2}),
        (["--num-nodes", "3"], {"training.num_nodes": 3}),
        (["--strategy", "ddp"], {"training.strategy": "ddp"}),
        (["--set", "data.particle_radius=5"], {"data.particle_radius": 5}),
        (
            ["--set", "training.gate_px=3", "--set", "scenes.peak_snr=[2, 9]"],
            {"training.gate_px": 3.0, "scenes.peak_snr": {"low": 2.0, "high": 9.0}},
        ),
        (["--epochs", "7", "--set", "training.epochs=8"], {"training.epochs": 8}),
    ],
)
def test_an_option_of_train_changes_its_setting_alone(command, trained, words, changed):
    code, _, complaints = command("train", "place", *words)
    assert (code, complaints) == (0, "")
    assert settings_that_differ(trained[0].config, Config()) == changed


def test_train_hands_on_the_model_to_start_from(command, trained):
    command("train", "place", "--from", "old/best.ckpt", "--no-resume")
    assert trained[0].start == Path("old/best.ckpt")
    assert trained[0].resume is False


def test_options_of_train_are_put_over_a_file_or_version_3(command, trained, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"training": {"epochs": 3, "seed": 4}}))
    command("train", "place", "--config", file, "--seed", "5")
    command("train", "place", "--version-3", "--set", "training.seed=5")
    first, second = (call.config for call in trained)
    assert settings_that_differ(first, Config()) == {"training.epochs": 3, "training.seed": 5}
    assert settings_that_differ(second, Config.version_3()) == {"training.seed": 5}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version-3", "--config", "config.json"], "--version-3 and --config"),
        (["--config", "missing.json"], "missing.json"),
        (["--epochs", "0"], "training.epochs"),
        (["--set", "training.epochs"], "section.key=value"),
        (["--set", "training.epoch=3"], "the nearest is training.epochs"),
        (["--set", "[b]x=3"], "[b]x"),
        (["--set", "training.epochs=many"], "training.epochs"),
        (["--set", "training.epochs=" + "[" * 20_000], "training.epochs"),
    ],
)
def test_a_wrong_option_of_train_is_refused_in_one_line(command, trained, words, said):
    code, output, complaints = command("train", "place", *words)
    assert code == 2
    assert output == ""
    assert said in complaints
    assert len(complaints.splitlines()) == 1
    assert not trained


# The table of settings


def rows_of(text):
    """Return the cells of every line of a table, by the first of them."""
    rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if re.fullmatch(r"\w+\.\w+", row[0])}


def test_settings_shows_every_setting_with_a_default_that_can_be_given(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    code, text, complaints = command("settings")
    assert (code, complaints) == (0, "")
    rows = rows_of(text)
    default = Config()
    for section, values in default.to_dict().items():
        for key in values:
            shown = rows.pop(f"{section}.{key}")[0]
            given = "" if shown == "empty" else shown
            assert default.with_values([f"{section}.{key}={given}"]) == default
    assert not rows


@pytest.mark.parametrize(
    ("section", "name", "cells"),
    [
        ("training", "training.epochs", ["30", "1 to 1000"]),
        ("training", "training.gate_px", ["2", "above 0, up to 20", "px"]),
        ("training", "training.hold_out", ["frames", "frames, videos"]),
        ("training", "training.incremental", ["true", "true, false"]),
        ("training", "training.seed", ["0", "0 or more"]),
        ("model", "model.grid_channels", ["[32, 48, 64]", "each 4 to 512"]),
        ("model", "model.name", ["particle_detector", "text"]),
        ("scenes", "scenes.spot_sigma_px", ["[1, 3.5]", "[low, high]", "px"]),
        ("analysis", "analysis.threshold", ["empty", "above 0, below 1"]),
        ("analysis", "analysis.search_range_px", ["empty", "above 0", "px"]),
    ],
)
def test_settings_of_a_section_show_range_and_unit(command, monkeypatch, section, name, cells):
    monkeypatch.setenv("COLUMNS", "300")
    code, text, _ = command("settings", section)
    assert code == 0
    rows = rows_of(text)
    assert all(row.startswith(f"{section}.") for row in rows)
    part, _, key = name.partition(".")
    field = type(getattr(Config(), part)).model_fields[key]
    assert rows[name] == [*cells, field.description]


@pytest.mark.parametrize(("columns", "terminal", "most"), [(40, False, 100), (100, True, 100)])
def test_the_table_of_settings_fits_and_breaks_no_name(
    command, monkeypatch, columns, terminal, most
):
    monkeypatch.setenv("COLUMNS", str(columns))
    if terminal:
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
    _, text, _ = command("settings", "analysis")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(len(line) for line in text.splitlines()) == most
    assert "analysis.min_relative_probability  0.93 " in text
    assert "…" not in text


def test_a_narrow_terminal_gets_paragraphs(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    _, text, _ = command("settings", "data")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert lines[1:5] == [
        "data.particle_radius",
        "  default: 3",
        "  range: 1 to 10",
        "  unit: px",
    ]


@pytest.mark.parametrize("section", sorted(set(Config.model_fields) - {"analysis"}))
def test_the_example_below_a_section_is_of_it_and_can_be_given(command, section):
    _, text, _ = command("settings", section)
    (example,) = re.findall(r"--set (\S+)", text)
    assert example.startswith(f"{section}.")
    assert Config().with_values([example]) == Config()


def test_settings_of_the_analysis_are_options_of_analyze(command, handed_on):
    _, text, _ = command("settings", "analysis")
    assert "cloudtrainer train" not in text
    (example,) = re.findall(r"analyze VIDEO -o OUT (.+)", text)
    assert command("analyze", "v.tif", "-o", "out", *example.split())[0] == 0
    assert handed_on[0].config.analysis.drift == "none"


def test_a_section_that_is_none_is_refused(command):
    code, output, complaints = command("settings", "traning")
    assert (code, output) == (2, "")
    assert "'traning'" in complaints
    assert all(section in complaints for section in Config.model_fields)


# The models of a workspace: tables, choice and export are made up here, and done for real in
# tests/training/test_command_line.py.


LISTED = pd.DataFrame(
    {
        "version": ["v_20250101_120000", "v_20250301_080000"],
        "current": [False, True],
        "created": pd.to_datetime(["2025-01-01 12:00:00", "2025-03-01 08:00:00"]),
        "network": ["unet", "grid"],
        "videos": [2, 3],
        "f1": [np.nan, 0.91239],
        "rmse_px": [np.nan, 0.25],
        "parent": [None, "v_20250101_120000"],
    }
)
COMPARED = pd.DataFrame(
    {
        "model": ["bundled", "v_[1]"],
        "frames": [20, 20],
        "f1": [0.5, 0.75],
        "precision": [0.25, 1.0],
        "recall": [1.0, 0.6],
        "rmse_px": [0.4321, np.nan],
    }
)


@pytest.fixture
def stand_in(monkeypatch):
    """Put functions in the place of those of the training room."""

    def put(**functions):
        for name, function in functions.items():
            monkeypatch.setattr(f"cloudtrainer.training.{name}", function)

    return put


def cells(line):
    return re.split(r" {2,}", line.strip())


def test_models_lists_the_versions_with_their_scores(command, stand_in):
    stand_in(list_models=lambda workspace: LISTED)
    code, text, _ = command("models", "place")
    assert code == 0
    head, _, first, second = text.splitlines()
    assert cells(head) == list(LISTED.columns)
    assert cells(first) == ["v_20250101_120000", "2025-01-01 12:00:00", "unet", "2", *"---"]
    assert cells(second) == [
        "v_20250301_080000", "yes", "2025-03-01 08:00:00", "grid", "3", "0.912", "0.250",
        "v_20250101_120000",
    ]  # fmt: skip


def test_models_of_an_empty_workspace_say_how_to_train(command, stand_in):
    stand_in(list_models=lambda workspace: LISTED.iloc[:0])
    code, text, _ = command("models", "place [1]")
    assert code == 0
    assert text == "No models in place [1] yet; train one with: cloudtrainer train place [1]\n"


def test_models_compared(command, stand_in):
    stand_in(compare_models=lambda workspace: COMPARED)
    code, text, _ = command("models", "place", "--compare")
    assert code == 0
    head, _, first, second = text.splitlines()
    assert cells(head) == list(COMPARED.columns)
    assert cells(first) == ["bundled", "20", "0.500", "0.250", "1.000", "0.432"]
    assert cells(second) == ["v_[1]", "20", "0.750", "1.000", "0.600", "-"]


def test_models_sets_the_current_one(command, monkeypatch):
    chosen = []
    place = SimpleNamespace(set_current=chosen.append)
    monkeypatch.setattr("cloudtrainer.workspace.Workspace.open", lambda root: place)
    code, text, _ = command("models", "place", "--set-current", "v_1")
    assert code == 0
    assert chosen == ["v_1"]
    assert text == "v_1 is now the current model of place.\n"


@pytest.mark.parametrize(
    ("words", "out", "workspace"),
    [
        ([], None, None),
        (["-o", "folder"], Path("folder"), None),
        (["--workspace", "place"], None, Path("place")),
    ],
)
def test_export_hands_on_where_to(command, stand_in, words, out, workspace):
    calls = []

    def record(checkpoint, *, out, workspace):
        calls.append((checkpoint, out, workspace))
        return Path("place/models/v_[1]")

    stand_in(export_checkpoint=record)
    code, text, _ = command("export", "last.ckpt", *words)
    assert code == 0
    assert calls == [(Path("last.ckpt"), out, workspace)]
    assert text == "Model: place/models/v_[1]\n"


def test_export_to_two_places_is_refused(command, stand_in):
    stand_in()
    code, output, complaints = command("export", "a.ckpt", "-o", "out", "--workspace", "place")
    assert (code, output) == (2, "")
    assert "give one of the two" in complaints
    assert len(complaints.splitlines()) == 1
