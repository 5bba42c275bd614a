"""The demonstration: a simulated experiment, measured, and held against its truth."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloudtrainer.analysis import Analysis, analyze
from cloudtrainer.analysis.outputs import write_json
from cloudtrainer.config import Config, ExperimentSettings
from cloudtrainer.detector import ParticleDetector, export_model
from cloudtrainer.diffusion import diffusion_bound
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.evaluation import DetectionScore, localisation_bound_px, score_detections
from cloudtrainer.inference import Progress
from cloudtrainer.simulation import Experiment, simulate_experiment, write_experiment

GATE_PX = 2.0
LEAST_F1 = 0.97
MOST_OVER_BOUND = 1.3
MOST_STANDARD_ERRORS = 3.0

# The experiment's seed is that of no training scene and of no experiment used for development.
EXPERIMENT = ExperimentSettings(seed=20_260)
TRAINING = {
    "training": {"epochs": 9, "steps_per_epoch": 100, "early_stopping": False, "seed": 7},
    "scenes": {
        "spot_sigma_px": [1.1, 2.1],
        "peak_snr": [2.0, 15.0],
        "density_per_1000_px2": [0.2, 2.0],
        "background_photons": [20.0, 500.0],
        "background_structure": 0.2,
        "ring_share": 0.0,
        "clutter_share": 0.0,
        "compressed_share": 0.0,
        "speck_share": 0.0,
        "smeared_share": 0.0,
    },
}


@dataclass(frozen=True)
class Comparison:
    """One line of the demonstration: what was measured, what it must be.

    Attributes
    ----------
    name, measured, wanted : str
        What is compared, for people.
    passed : bool
        Whether it holds.
    """

    name: str
    measured: str
    wanted: str
    passed: bool


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration found.

    Attributes
    ----------
    comparisons : tuple of Comparison
        Measurement against truth.
    results : Path
        Folder with the report.
    seconds : dict
        Time that each part took.
    """

    comparisons: tuple[Comparison, ...]
    results: Path
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every comparison holds."""
        return all(comparison.passed for comparison in self.comparisons)

    def __str__(self) -> str:
        width = max(len(comparison.name) for comparison in self.comparisons)
        lines = [
            f"{'ok  ' if c.passed else 'FAIL'}  {c.name:<{width}}  {c.measured:<32}  {c.wanted}"
            for c in self.comparisons
        ]
        took = ", ".join(f"{name} {value:.0f} s" for name, value in self.seconds.items())
        return "\n".join([*lines, f"Time: {took}.", f"Report: {self.results / 'report.html'}"])


def run_demo(out: Path, progress: Progress | None = None) -> Demonstration:
    """Simulate an experiment, train on other scenes, analyse, and compare with the truth.

    Writes ``experiment.ome.tif`` with its truth, ``model/`` and ``results/`` under ``out``; what an
    earlier demonstration left there is replaced.

    Raises
    ------
    WorkspaceError
        The folder cannot be written.
    """
    # Lightning takes seconds to import; only training needs it.
    from cloudtrainer.training import fit

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{out}: cannot be made ({error.strerror})") from None
    if (out / "model").exists() and not (out / "model" / "metadata.json").is_file():
        raise WorkspaceError(f"{out / 'model'}: is there and no model; give another folder")
    seconds = {}
    begun = time.perf_counter()
    experiment = simulate_experiment(EXPERIMENT)
    video = out / "experiment.ome.tif"
    write_experiment(experiment, video, overwrite=True)
    seconds["simulate"] = time.perf_counter() - begun

    begun = time.perf_counter()
    detector, validation = fit(Config.from_dict(TRAINING))
    seconds["train"] = time.perf_counter() - begun

    begun = time.perf_counter()
    results = out / "results"
    analysis = analyze(
        video,
        results,
        detector,
        exposure_s=EXPERIMENT.exposure_s,
        overwrite=True,
        progress=progress,
    )
    seconds["analyze"] = time.perf_counter() - begun
    _keep_model(detector, out / "model", validation.numbers())

    score = score_detections(analysis.detections, experiment.truth, GATE_PX)
    bound = _localisation_bound(experiment)
    _add_to_summary(
        results / "summary.json",
        {
            "truth": {"D_um2_per_s": EXPERIMENT.D_um2_per_s, "alpha": 1.0},
            "detection": {"f1": score.f1, "rmse_px": score.rmse_px, "bound_px": bound},
            "seconds": seconds,
        },
    )
    return Demonstration(tuple(_compare(analysis, score, bound, experiment)), results, seconds)


def _compare(
    analysis: Analysis, score: DetectionScore, bound: float, experiment: Experiment
) -> list[Comparison]:
    ratio = score.rmse_px / bound
    lines = [
        Comparison(
            "F1 of the detections",
            f"{score.f1:.3f} at {GATE_PX:g} px",
            f"at least {LEAST_F1}",
            score.f1 >= LEAST_F1,
        ),
        Comparison(
            "localisation error",
            f"{score.rmse_px:.3f} px, {ratio:.2f} x bound",
            f"at most {MOST_OVER_BOUND} x the Cramer-Rao bound",
            ratio <= MOST_OVER_BOUND,
        ),
    ]
    D, alpha = analysis.diffusion, analysis.alpha
    for name, estimate, truth in (
        ("D", D, EXPERIMENT.D_um2_per_s),
        ("alpha", alpha, 1.0),
    ):
        away = abs(estimate.value - truth) / estimate.standard_error
        lines.append(
            Comparison(
                name,
                f"{estimate.value:.4g} +- {estimate.standard_error:.2g}",
                f"within {MOST_STANDARD_ERRORS:g} standard errors of {truth:g}",
                bool(away <= MOST_STANDARD_ERRORS),
            )
        )
    least = _diffusion_bound(experiment, score.rmse_px)
    lines.append(
        Comparison(
            "standard error of D",
            f"{D.standard_error:.3g}, {D.standard_error / least:.2f} x bound",
            f"at most {MOST_OVER_BOUND} x the Cramer-Rao bound",
            bool(D.standard_error <= MOST_OVER_BOUND * least),
        )
    )
    return lines


def _localisation_bound(experiment: Experiment) -> float:
    """Return the bound of the root mean square error over all particles in all frames, px."""
    settings = experiment.settings
    photons, frames = np.unique(experiment.truth["photons"], return_counts=True)
    bound = localisation_bound_px(
        photons,
        settings.spot_sigma_px,
        settings.background_photons,
        settings.read_noise_photons,
    )
    return float(np.sqrt(np.average(bound**2, weights=frames)))


def _diffusion_bound(experiment: Experiment, localisation_error_px: float) -> float:
    """Return the bound of D from the true tracks, each seen from entering to leaving the frame.

    NaN where nothing was found, whose error is none.
    """
    if not np.isfinite(localisation_error_px):
        return float("nan")
    settings = experiment.settings
    frames = experiment.truth.groupby("particle")["frame"].nunique().to_numpy()
    return diffusion_bound(
        displacements=frames - 1,
        D_um2_per_s=settings.D_um2_per_s,
        localisation_error_um=localisation_error_px * settings.pixel_size_um,
        frame_interval_s=settings.frame_interval_s,
        exposure_s=settings.exposure_s,
    )


def _keep_model(detector: ParticleDetector, folder: Path, scores: dict[str, float]) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    origin = {"num_videos": 0, "simulated_share": 1.0, "seed": detector.config.training.seed}
    export_model(detector, folder, scores=scores, origin=origin)


def _add_to_summary(path: Path, more: dict[str, Any]) -> None:
    summary = json.loads(path.read_text(encoding="utf-8")) | more
    unfinished = path.with_name(path.name + ".part")
    write_json(summary, unfinished)
    unfinished.replace(path)
