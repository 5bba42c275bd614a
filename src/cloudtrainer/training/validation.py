"""Scores of a model, and what it learns there: its threshold and the size of its errors."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.context import middle_frames
from cloudtrainer.detector.detections import TYPICAL_ERROR_PX
from cloudtrainer.evaluation import DetectionScore, match_detections, score_detections
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.metrics import truth_table
from cloudtrainer.training.validation_sets import ValidationSet

_LEAST_PROBABILITY = 0.05
# How the factor of stated errors changes with the error is read off as many groups, where there are
# enough errors and they differ (standard deviation of their logarithms).
_WITHIN_ONE_SD, _WIDER_GATE = 0.6827, 2.0
_ERROR_GROUPS, _ENOUGH_ERRORS, _TELLING_SPREAD, _STEEPEST = 10, 400, 0.2, 0.5
# A missed detection is bridged by linking; a false one misleads it. So of thresholds whose F1 is
# this close to the best, the highest is taken.
_F1_WORTH_PRECISION = 0.001


@dataclass(frozen=True)
class Found:
    """What a detector finds in a validation set, and what is there.

    Attributes
    ----------
    found : DataFrame
        Detections, with ``probability``.
    truth : DataFrame
        ``frame, x, y``.
    """

    found: pd.DataFrame
    truth: pd.DataFrame

    def score(self, threshold: float, gate_px: float) -> DetectionScore:
        """Score the detections from a probability on."""
        kept = self.found[self.found["probability"] >= threshold].reset_index(drop=True)
        return score_detections(kept, self.truth, gate_px)


def find_in(detector: ParticleDetector, scenes: list[Scenes]) -> Found:
    """Run a detector on validation data; every detection above a low probability is kept."""
    detector.eval()
    lay_on = detector.device
    if torch.cuda.is_available():
        detector.to("cuda")
    found, truth, first = [], [], 0
    for batch in scenes:
        here = batch.to(detector.device)
        with torch.inference_mode():
            context = detector.context_frames
            stacks = detector.normalise(middle_frames(here.frames, context), here.brightest)
            answer = detector.answer(stacks)
        seen = stacks[:, context]
        seen_here = detector.read(
            answer, here.images, seen, threshold=_LEAST_PROBABILITY, fit=False
        )
        known = truth_table(batch)
        found.append(seen_here.assign(frame=seen_here["frame"] + first))
        truth.append(known.assign(frame=known["frame"] + first))
        first += len(batch.images)
    detector.to(lay_on)
    return _joined([Found(*pair) for pair in zip(found, truth, strict=True)])


@dataclass(frozen=True)
class Validation:
    """Scores of a detector on validation data, at its own threshold.

    Attributes
    ----------
    score : DetectionScore
        Scores on the frames of labelled videos; where there are none, on simulated scenes.
    by_set : dict of str to DetectionScore
        Scores of each video, and of the simulated scenes.
    by_kind : dict of str to DetectionScore
        Scores of the new videos, the earlier ones and the simulated scenes.
    gate_px : float
        Distance within which a detection is right, in pixels.
    """

    score: DetectionScore
    by_set: dict[str, DetectionScore]
    by_kind: dict[str, DetectionScore]
    gate_px: float

    def numbers(self) -> dict[str, float]:
        """Return the scores by name, for a model card."""
        return {
            "val_f1": self.score.f1,
            "val_precision": self.score.precision,
            "val_recall": self.score.recall,
            "val_rmse_px": self.score.rmse_px,
            "gate_px": self.gate_px,
        }


def score_model(
    detector: ParticleDetector, sets: list[ValidationSet], gate_px: float
) -> Validation:
    """Score a detector at its own threshold."""
    return _scored(detector, sets, [find_in(detector, one.scenes) for one in sets], gate_px)


def calibrate(detector: ParticleDetector, sets: list[ValidationSet], gate_px: float) -> Validation:
    """Choose the threshold and the scale of the errors on validation data, set them, and score.

    The threshold is the highest whose F1, averaged over the sets, is within 0.001 of the best. The
    scale and the slope make 68.3 % of the errors of matched detections smaller than their stated
    errors, as of normal numbers, be they large or small.
    """
    parts = [find_in(detector, one.scenes) for one in sets]
    whole = _joined(parts)
    probability = whole.found["probability"]
    levels = np.quantile(probability, np.linspace(0, 1, 41)) if len(probability) else []
    thresholds = [float(level) for level in np.unique(levels) if 0.1 < level < 0.95] or [0.5]
    # Every video counts as much as any other, however many particles it holds.
    scores = [
        float(np.mean([part.score(level, gate_px).f1 for part in parts])) for level in thresholds
    ]
    best = max(scores) - _F1_WORTH_PRECISION
    threshold = max(level for level, f1 in zip(thresholds, scores, strict=True) if f1 >= best)
    detector.threshold = round(threshold, 3)
    # A narrow gate would hide the large errors of dim particles.
    scale, slope = _error_factor(whole, detector.threshold, _WIDER_GATE * gate_px)
    # What was measured is the errors as the detector had scaled them before.
    before = detector.error_scale ** (1 + slope)
    detector.error_slope = round((1 + detector.error_slope) * (1 + slope) - 1, 4)
    detector.error_scale = round(before * scale, 4)
    return _scored(detector, sets, parts, gate_px)


def _scored(
    detector: ParticleDetector, sets: list[ValidationSet], parts: list[Found], gate_px: float
) -> Validation:
    kinds: dict[str, list[Found]] = {one.kind: [] for one in sets}
    for one, part in zip(sets, parts, strict=True):
        kinds[one.kind].append(part)
    limit = detector.threshold
    labelled = [
        part for one, part in zip(sets, parts, strict=True) if one.kind in ("new", "earlier")
    ]
    return Validation(
        score=_joined(labelled or parts).score(limit, gate_px),
        by_set={
            one.name: part.score(limit, gate_px) for one, part in zip(sets, parts, strict=True)
        },
        by_kind={kind: _joined(found).score(limit, gate_px) for kind, found in kinds.items()},
        gate_px=gate_px,
    )


def _joined(parts: list[Found]) -> Found:
    """Put validation sets behind each other: no two share a frame number."""
    found, truth, first = [], [], 0
    for part in parts:
        found.append(part.found.assign(frame=part.found["frame"] + first))
        truth.append(part.truth.assign(frame=part.truth["frame"] + first))
        last = max(
            (table["frame"].max() for table in (part.found, part.truth) if len(table)), default=-1
        )
        first += int(last) + 1
    return Found(pd.concat(found, ignore_index=True), pd.concat(truth, ignore_index=True))


def _error_factor(whole: Found, threshold: float, gate_px: float) -> tuple[float, float]:
    """Return the scale of stated errors, and its slope with the error (see `ParticleDetector`)."""
    found = whole.found[whole.found["probability"] >= threshold].reset_index(drop=True)
    pairs = match_detections(found, whole.truth, gate_px)
    stated = found.iloc[pairs["found"].to_numpy()][["x_error", "y_error"]].to_numpy()
    error = pairs[["dx", "dy"]].to_numpy()
    known = np.isfinite(stated)
    stated, error = stated[known], np.abs(error[known])
    if len(stated) == 0:
        return 1.0, 0.0
    groups = np.array_split(np.argsort(stated), _ERROR_GROUPS)
    of_group = np.array([np.median(stated[group]) for group in groups if len(group)])
    slope = 0.0
    if len(stated) >= _ENOUGH_ERRORS and np.log(of_group).std() > _TELLING_SPREAD:
        true = np.array([np.quantile(error[group], _WITHIN_ONE_SD) for group in groups])
        line = np.polyfit(np.log(of_group), np.log(np.maximum(true, 1e-6) / of_group), 1)
        slope = float(np.clip(line[0], -_STEEPEST, _STEEPEST))
    ratio = error / (stated * (stated / TYPICAL_ERROR_PX) ** slope)
    return float(np.quantile(ratio, _WITHIN_ONE_SD)), slope
