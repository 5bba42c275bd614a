"""The command line: what it takes, what it hands on, what it prints."""

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from cloudtrainer import cli
from cloudtrainer.version import __version__

VERBS = ["init", "simulate", "train", "analyze", "demo", "info"]


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command line; give exit code, output and complaints."""
    # Help is set for a wide terminal, so that no word is cut in two.
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*argv):
        monkeypatch.setattr("sys.argv", ["cloudtrainer", *map(str, argv)])
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        return code, *capsys.readouterr()

    return run


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
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", done.stdout)


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
        "plane",
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
