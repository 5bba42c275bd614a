"""Three real data sets with the bundled model, with a twin of each video, and with trackpy.

    python benchmarks/real_videos.py DATA [--only sptnet beads bulk_water] [--keep FOLDER]

DATA holds ``sptnet/``, ``beads/run_1``, ``beads/run_2`` and ``bulk_water/bulk_water.tif``; what is
missing is skipped with a line. None of it is part of the repository.

- sptnet: five simulated videos of 30 frames (measured point-spread function, structured background)
  whose truth is known. F1 at 2 px: of videos 00 and 01, on which trackpy's cut in mass was chosen,
  of the others, and of all. Each video has a twin of its own.
- beads: fluorescent beads of radius 0.5 um in water, many far out of focus; D is known to about 10%
  from size, temperature and viscosity: 0.476 um^2/s.
- bulk_water: the first half of the video of trackpy's walkthrough; D is 0.40 um^2/s from long lags.

The bundled model and the twin are told nothing. The settings of trackpy were chosen by hand for
each data set: diameters, cuts in mass, and a search range that does not truncate. Its tracks are
given to the same estimator of D, so that the detections alone differ. A twin's seconds are those
from the raw video to the trained detector. Particles a frame: all that are found, and those in the
tracks that enter D.
"""

import argparse
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy

from cloudtrainer.analysis import Analysis, analyze
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.evaluation import score_detections
from cloudtrainer.inference import extract_particles_from_predictions
from cloudtrainer.training import make_twin
from cloudtrainer.video import Video

GATE_PX = 2.0
CHOSEN_ON = (0, 1)
SETS = ("sptnet", "beads", "bulk_water")
Find = Callable[[Video, int], pd.DataFrame]


@dataclass(frozen=True)
class Row:
    """A line of the table of D."""

    video: str
    detections: str
    found_per_frame: float | None
    measured_per_frame: float | None
    D_um2_per_s: float
    low: float
    high: float
    expected_um2_per_s: float
    search_range_px: float
    seconds_to_detector: float | None


@dataclass(frozen=True)
class Film:
    """A real video, what is known of it, and trackpy's settings."""

    name: str
    path: str
    expected_um2_per_s: float
    locate: dict[str, float | bool]
    search_range_px: float
    calibration: dict[str, float]


FILMS = {
    "beads": [
        Film(
            name,
            f"beads/{name}",
            0.476,
            {"diameter": 15, "minmass": 3000, "separation": 16},
            18.0,
            {"pixel_size_um": 0.175, "frame_interval_s": 0.5},
        )
        for name in ("run_1", "run_2")
    ],
    "bulk_water": [
        Film(
            "bulk_water",
            "bulk_water/bulk_water.tif",
            0.40,
            {"diameter": 11, "minmass": 20, "invert": True},
            5.0,
            {"pixel_size_um": 100 / 285, "frame_interval_s": 1 / 24},
        )
    ],
}


def sptnet(data: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Score the detections in the videos of known truth."""
    truth = pd.read_csv(data / "sptnet" / "ground_truth.csv")
    numbers = sorted(int(n) for n in truth["video"].unique())
    paths = {n: data / "sptnet" / f"video_{n:02}.tif" for n in numbers}
    bundled = load_model()
    seconds = {}
    for number, path in paths.items():
        begun = time.perf_counter()
        make_twin(path, folder / f"sptnet_{number}", overwrite=True, say=_whisper)
        seconds[number] = time.perf_counter() - begun
    cut = best_cut({n: paths[n] for n in CHOSEN_ON}, truth)
    ways: dict[str, Find] = {
        "bundled model": lambda video, _: extract_particles_from_predictions(bundled, video),
        "twin": lambda video, n: extract_particles_from_predictions(
            load_model(folder / f"sptnet_{n}" / "model"), video
        ),
        "trackpy": lambda video, _: located(video, cut),
    }
    scores = {}
    for name, find in ways.items():
        found = {n: find(Video(path), n) for n, path in paths.items()}
        parts = {
            "chosen_on": [n for n in numbers if n in CHOSEN_ON],
            "others": [n for n in numbers if n not in CHOSEN_ON],
            "all": numbers,
        }
        scores[name] = {part: f1_of(found, truth, some) for part, some in parts.items()}
        each = {f"video_{n:02}": f1_of(found, truth, [n]) for n in numbers}
        scores[name] |= each
    scores["twin"]["seconds_to_detector"] = max(seconds.values())
    print(f"\nsptnet, F1 at {GATE_PX:g} px (trackpy: mass above {cut:.0f})")
    columns = list(scores["bundled model"])
    print("  " + " " * 14 + "".join(f"{column:>11}" for column in columns))
    for name, row in scores.items():
        print(f"  {name:<14}" + "".join(f"{row[column]:11.3f}" for column in columns))
    print(f"  slowest twin: {max(seconds.values()):.0f} s from raw video to detector")
    return scores


def f1_of(found: dict[int, pd.DataFrame], truth: pd.DataFrame, numbers: list[int]) -> float:
    """Return F1 over some videos together."""
    tables = [found[n].assign(frame=found[n]["frame"] + 1000 * n) for n in numbers]
    known = truth[truth["video"].isin(numbers)]
    known = known.assign(frame=known["frame"] + 1000 * known["video"])
    return score_detections(
        pd.concat(tables, ignore_index=True), known[["frame", "x", "y"]], GATE_PX
    ).f1


def located(video: Video, mass: float) -> pd.DataFrame:
    """Return what trackpy finds above a mass."""
    frames = video.frames()
    tables = [
        trackpy.locate(frame, 7, minmass=mass, separation=4).assign(frame=number)
        for number, frame in enumerate(frames)
    ]
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame({"frame": [], "x": [], "y": []})
    return pd.concat(tables, ignore_index=True)


def best_cut(paths: dict[int, Path], truth: pd.DataFrame) -> float:
    """Return the cut in mass that gives trackpy its best F1 on some videos."""
    cuts = np.geomspace(20, 2000, 25)
    videos = {n: Video(path) for n, path in paths.items()}
    scores = [
        f1_of({n: located(video, float(cut)) for n, video in videos.items()}, truth, list(paths))
        for cut in cuts
    ]
    return float(cuts[int(np.argmax(scores))])


def measure(film: Film, data: Path, folder: Path) -> list[Row]:
    """Measure D of a video with each kind of detections."""
    path = data / film.path
    bundled = analyze(path, folder / f"{film.name}_bundled", overwrite=True, **film.calibration)
    begun = time.perf_counter()
    make_twin(path, folder / f"{film.name}_twin", overwrite=True, say=_whisper)
    seconds = time.perf_counter() - begun
    model = folder / f"{film.name}_twin"
    twin = analyze(path, folder / f"{film.name}_out", model, overwrite=True, **film.calibration)
    keep = Config.from_dict({"analysis": {"min_relative_probability": 0.0}})
    everything = analyze(
        path, folder / f"{film.name}_all", model, config=keep, overwrite=True, **film.calibration
    )
    rows = [
        _row(film, "bundled model", bundled, None),
        _row(film, "twin, in focus", twin, seconds),
        _row(film, "twin, all", everything, seconds),
        with_trackpy(film, Video(path), folder),
    ]
    for row in rows:
        _print(row)
    return rows


def with_trackpy(film: Film, video: Video, folder: Path) -> Row:
    """Locate, link and filter with trackpy; estimate D as for the others."""
    settings = dict(film.locate)
    diameter = settings.pop("diameter")
    found = trackpy.batch(video.frames(), diameter, processes=1, **settings)
    linked = trackpy.link(found, film.search_range_px, memory=3)
    tracks = trackpy.filter_stubs(linked, 5).reset_index(drop=True)
    if film.name == "bulk_water":
        # The walkthrough's cuts, of whole tracks: of single detections they would cut tracks up.
        mean = tracks.groupby("particle")[["mass", "size", "ecc"]].mean()
        good = mean[(mean["mass"] > 50) & (mean["size"] < 2.6) & (mean["ecc"] < 0.3)].index
        tracks = tracks[tracks["particle"].isin(good)]
    table = tracks[["frame", "x", "y", "particle"]].reset_index(drop=True)
    done = analyze(table, folder / f"{film.name}_trackpy", overwrite=True, **film.calibration)
    return Row(
        film.name,
        "trackpy",
        len(found) / len(video),
        len(table) / len(video),
        done.diffusion.value,
        done.diffusion.low,
        done.diffusion.high,
        film.expected_um2_per_s,
        film.search_range_px,
        None,
    )


def _row(film: Film, name: str, done: Analysis, seconds: float | None) -> Row:
    measured = done.summary["measured"]
    return Row(
        film.name,
        name,
        measured["detections_per_frame"],
        measured["particles_per_frame"],
        done.diffusion.value,
        done.diffusion.low,
        done.diffusion.high,
        film.expected_um2_per_s,
        measured["search_range_px"],
        seconds,
    )


def _print(row: Row) -> None:
    off = 100 * (row.D_um2_per_s / row.expected_um2_per_s - 1)
    took = "" if row.seconds_to_detector is None else f"{row.seconds_to_detector:8.0f} s"
    print(
        f"  {row.video:<11} {row.detections:<15} {row.found_per_frame:7.1f} "
        f"{row.measured_per_frame:9.1f}   {row.D_um2_per_s:.3f} [{row.low:.3f}, {row.high:.3f}] "
        f"({off:+.0f}%) {row.search_range_px:6.1f} px {took}",
        flush=True,
    )


def _whisper(_: str) -> None:
    """Say nothing: the table says it."""


def _there(data: Path, name: str) -> bool:
    wanted = {"sptnet": "sptnet/ground_truth.csv", "beads": "beads/run_1"}
    path = data / wanted.get(name, "bulk_water/bulk_water.tif")
    if not path.exists():
        print(f"{name}: skipped, there is no {path}")
    return path.exists()


def main() -> None:
    """Print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--only", nargs="*", default=SETS, choices=SETS)
    parser.add_argument("--keep", type=Path, help="folder for twins and analyses")
    given = parser.parse_args()
    trackpy.quiet()
    # Cuts that leave nothing are part of the search for the best one.
    warnings.filterwarnings("ignore", module="trackpy")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    written = results / "real_videos.json"
    told = json.loads(written.read_text()) if written.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [name for name in given.only if _there(given.data, name)]
        if "sptnet" in wanted:
            told["sptnet_f1"] = sptnet(given.data, folder)
        films = [film for name in wanted if name in FILMS for film in FILMS[name]]
        if films:
            print("\n  video       detections      found  measured   D (um^2/s)")
        for film in films:
            rows = [asdict(row) for row in measure(film, given.data, folder)]
            others = [row for row in told.get("D", []) if row["video"] != film.name]
            told["D"] = [*others, *rows]
    if wanted:
        told["machine"] = platform.processor()
        written.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
