"""What an ensemble adds to its members: detections, positions, and how honest their errors are.

    python benchmarks/ensemble.py [--quick]

Members of other seeds learn a few labelled frames and simulated scenes, for a short time: once from
random weights and once from the bundled model, as a lab would. Each member alone, and ensembles of
the first 2, 3, ... members, choose their threshold and the scale of their errors on the same
validation data, and are scored on frames that nothing was learned from, drawn by `_scenes.py`: as
they are used, and without the fit to the photons that refines positions afterwards.

F1 at 3 px; root mean square error over the Cramer-Rao bound of a lonely spot; errors over stated
errors (robust standard deviation; 1 is right); share of errors within 1.96 stated errors (0.95 is
right); rank correlation of the size of an error and the stated one, over all scenes together (that
of exact errors is far from 1: an error is one draw).
"""

import argparse
import copy
import json
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from scipy.stats import spearmanr

from _scenes import BACKGROUND, SIGMA_PX, scene
from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.evaluation import localisation_bound_px, match_detections, score_detections
from cloudtrainer.training import LabelledVideo, fit, split_labelled
from cloudtrainer.training.ensemble import member_config
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation import calibrate
from cloudtrainer.training.validation_sets import validation_sets
from cloudtrainer.video import Video

SEED = 80_000
GATE_PX = 3.0
MEMBERS = 3
EPOCHS, STEPS = 6, 100
LEARNED = [(150, 100), (400, 300), (1000, 500)]
CELLS = [(150, 100, True), (400, 100, True), (150, 500, False), (400, 500, False)]


def labelled_frames(folder: Path) -> tuple[Path, pd.DataFrame]:
    """Write the few frames that are learned; return their video and its labels."""
    frames, labels = [], []
    for number, (photons, spots) in enumerate(LEARNED):
        seen, truth = scene(photons, spots, False, SEED + number, frames=2)
        frames.append(seen)
        labels.append(truth.assign(frame=truth["frame"] + 2 * number))
    video = folder / "few_frames.tif"
    tifffile.imwrite(video, np.concatenate(frames), photometric="minisblack")
    return video, pd.concat(labels, ignore_index=True)


def put_together(trained: ParticleDetector, numbers: list[int]) -> ParticleDetector:
    """Return a detector of some of the members; one alone is a single network."""
    config = member_config(trained.config, 0)
    config.training.ensemble = len(numbers)
    detector = ParticleDetector(config, normalisation=trained.normalisation)
    chosen = [copy.deepcopy(trained.model.members[number]) for number in numbers]
    detector.model = EnsembleNet(chosen) if len(chosen) > 1 else chosen[0]
    return detector.eval()


def scored(
    detector: ParticleDetector, tests: list[tuple[np.ndarray, pd.DataFrame]], fit_photons: bool
) -> dict:
    """Return the scores in every cell, and the rank correlation over all of them."""
    cells, sizes, stated = [], [], []
    begun = time.perf_counter()
    tables = [detector.detect(frames, fit=fit_photons) for frames, _ in tests]
    seconds = time.perf_counter() - begun
    for (photons, *_), found, (_, truth) in zip(CELLS, tables, tests, strict=True):
        bound = float(localisation_bound_px(photons, SIGMA_PX, BACKGROUND))
        score = score_detections(found, truth, GATE_PX, bound_px=bound)
        cells.append(
            {
                "f1": score.f1,
                "error_over_bound": score.rmse_over_bound,
                "error_over_stated": score.error_over_stated_robust,
                "within_95": score.stated_within_95,
            }
        )
        pairs = match_detections(found, truth, GATE_PX)
        sizes.append(np.abs(pairs[["dx", "dy"]].to_numpy()).ravel())
        stated.append(
            found.iloc[pairs["found"].to_numpy()][["x_error", "y_error"]].to_numpy().ravel()
        )
    rank = float(spearmanr(np.concatenate(sizes), np.concatenate(stated)).statistic)
    return {"cells": cells, "rank_correlation": rank, "seconds": seconds}


def shown(name: str, scores: dict) -> str:
    """Return a line of the table."""
    cells = " | ".join(
        f"{cell['f1']:.3f} {cell['error_over_bound']:4.2f} {cell['error_over_stated']:4.2f} "
        f"{cell['within_95']:.3f}"
        for cell in scores["cells"]
    )
    return f"{name:<21} | {cells} | {scores['rank_correlation']:.2f}"


def compare(
    start: Start, config: Config, video: LabelledVideo, tests: list[tuple[np.ndarray, pd.DataFrame]]
) -> dict[str, dict]:
    """Train an ensemble, and score its members and itself."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as logs:
        trained, _ = fit(config, labelled=[video], start=start, logs=Path(logs), progress_bar=False)
    print(
        f"from {start.source}: {config.training.ensemble} members, "
        f"{time.perf_counter() - begun:.0f} s",
        flush=True,
    )
    sets = validation_sets(config, [video], [])
    results = {}
    members = list(range(config.training.ensemble))
    for numbers in [
        *([number] for number in members),
        *(members[:n] for n in members[2:]),
        members,
    ]:
        one = f"member {numbers[0] + 1}"
        name = one if len(numbers) == 1 else f"ensemble of {len(numbers)}"
        detector = put_together(trained, numbers)
        calibrate(detector, sets, config.training.gate_px)
        for fit_photons in (True, False):
            way = name if fit_photons else f"{name}, no fit"
            results[way] = scored(detector, tests, fit_photons)
            print(shown(way, results[way]), flush=True)
    return results


def main() -> None:
    """Train, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description="What an ensemble adds to its members.")
    parser.add_argument("--quick", action="store_true", help="a few steps, to try this file")
    quick = parser.parse_args().quick
    epochs, steps = (1, 5) if quick else (EPOCHS, STEPS)
    training = {"epochs": epochs, "steps_per_epoch": steps, "ensemble": MEMBERS}
    config = Config.from_dict({"training": {**training, "early_stopping": False}})
    tests = [scene(*cell, SEED + 100 + number) for number, cell in enumerate(CELLS)]
    print("F1, error over bound, error over stated, within 95% | ... | rank correlation")
    print(f"{'photons, spots':<21} | " + " | ".join(f"{p:>10}, {n:<8}" for p, n, _ in CELLS))
    bundled = load_model()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path, labels = labelled_frames(Path(folder))
        video = split_labelled(Video(path), labels, config.training.validation_split)
        for start in (Start("random weights"), Start("the bundled model", bundled)):
            results[start.source] = compare(start, config, video, tests)
    document = {
        "machine": platform.processor(),
        "epochs": epochs,
        "steps_per_epoch": steps,
        "cells": [{"photons": p, "spots": n, "apart": apart} for p, n, apart in CELLS],
        "results": results,
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    ending = "_quick" if quick else ""
    text = json.dumps(document, indent=1).replace("NaN", "null")
    (folder / f"ensemble{ending}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
