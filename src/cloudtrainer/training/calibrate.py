"""What a trained network is told about itself: its threshold, and how large its errors are."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.evaluation import DetectionScore, match_detections, score_detections
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.module import GATE_PX, truth_table

_LEAST_PROBABILITY = 0.05
# A missed detection is bridged by linking; a false one misleads it. So of thresholds whose F1 is
# this close to the best, the highest is taken.
_F1_WORTH_PRECISION = 0.01


@dataclass(frozen=True)
class Validation:
    """Scores of a detector on validation data, at the threshold that was chosen there.

    Attributes
    ----------
    score : DetectionScore
        Scores at a gate of 2 px.
    threshold : float
        The probability threshold that was chosen.
    error_scale : float
        Robust standard deviation of errors over stated errors, before this scale was applied.
    """

    score: DetectionScore
    threshold: float
    error_scale: float

    def numbers(self) -> dict[str, float]:
        """Return the scores by name, for a model card."""
        return {
            "val_f1": self.score.f1,
            "val_precision": self.score.precision,
            "val_recall": self.score.recall,
            "val_rmse_px": self.score.rmse_px,
            "gate_px": GATE_PX,
        }


def calibrate(detector: ParticleDetector, scenes: list[Scenes]) -> Validation:
    """Choose the threshold and the scale of the errors on validation data, and set them.

    The threshold is the highest whose F1 at a gate of 2 px is within 0.01 of the best. The scale
    makes the errors of matched detections, divided by their stated errors, have a robust standard
    deviation (1.4826 times the median absolute value) of 1.
    """
    detector.eval()
    found, truth = _detect_all(detector, scenes)
    levels = np.quantile(found["probability"], np.linspace(0, 1, 41)) if len(found) else []
    thresholds = [float(level) for level in np.unique(levels) if 0.1 < level < 0.95] or [0.5]
    scores = [
        score_detections(found[found["probability"] >= level], truth, GATE_PX).f1
        for level in thresholds
    ]
    threshold = max(
        level
        for level, f1 in zip(thresholds, scores, strict=True)
        if f1 >= max(scores) - _F1_WORTH_PRECISION
    )
    kept = found[found["probability"] >= threshold].reset_index(drop=True)
    score = score_detections(kept, truth, GATE_PX)
    scale = _error_scale(kept, truth)
    detector.threshold = round(threshold, 3)
    detector.error_scale = round(detector.error_scale * scale, 4)
    return Validation(score, detector.threshold, scale)


def _detect_all(
    detector: ParticleDetector, scenes: list[Scenes]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    found, truth, first = [], [], 0
    for batch in scenes:
        seen = detector.detect(batch.images.cpu().numpy(), threshold=_LEAST_PROBABILITY)
        known = truth_table(batch)
        seen["frame"] += first
        known["frame"] += first
        first += len(batch.images)
        found.append(seen)
        truth.append(known)
    return pd.concat(found, ignore_index=True), pd.concat(truth, ignore_index=True)


def _error_scale(found: pd.DataFrame, truth: pd.DataFrame) -> float:
    pairs = match_detections(found, truth, GATE_PX)
    stated = found.iloc[pairs["found"].to_numpy()][["x_error", "y_error"]].to_numpy()
    ratio = pairs[["dx", "dy"]].to_numpy() / stated
    ratio = ratio[np.isfinite(ratio)]
    return float(1.4826 * np.median(np.abs(ratio))) if len(ratio) else 1.0
