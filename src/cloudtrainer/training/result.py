"""What a training leaves behind, and how it is told."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cloudtrainer.training.collect import TrainingData
from cloudtrainer.training.validation import Validation

_KINDS = {
    "earlier": "earlier videos",
    "new": "new videos",
    "simulated": "simulated scenes",
    "twin": "twins of videos",
}


@dataclass(frozen=True)
class TrainingResult:
    """What a training run left behind.

    Attributes
    ----------
    model_dir : Path
        The export; where there was nothing new to learn, the current model.
    scores : dict
        Scores of the new model on the validation data, by name.
    old_scores : dict or None
        Scores on the same data of the workspace's current model, else of the model that the run
        began with; None where there was none.
    comparison : DataFrame
        ``model, frames, f1, precision, recall, rmse_px``: old model and new one on the held-out
        frames of earlier videos, of new ones, and on simulated scenes.
    is_current : bool
        Whether the new model is the workspace's current one.
    learned : tuple of str
        Names of the videos that were learned from.
    rehearsed : tuple of str
        Names of the earlier videos that were rehearsed.
    left_out : tuple of str
        Videos that were not learned from, each with the reason.
    notes : tuple of str
        What the user was told while it ran.
    warnings : tuple of str
        What in the scores must be looked at.
    trained : bool
        False where there was nothing new to learn; ``warnings`` says why.
    """

    model_dir: Path
    scores: dict[str, float]
    old_scores: dict[str, float] | None
    comparison: pd.DataFrame = field(default_factory=pd.DataFrame)
    is_current: bool = True
    learned: tuple[str, ...] = ()
    rehearsed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    trained: bool = True

    @classmethod
    def nothing_new(cls, model_dir: Path, data: TrainingData) -> "TrainingResult":
        """Return what a run leaves that found nothing to learn."""
        return cls(
            model_dir,
            scores={},
            old_scores=None,
            left_out=tuple(data.left_out),
            notes=tuple(data.notes),
            warnings=(
                f"Nothing new to learn: {model_dir.name} knows every labelled video. Add videos or "
                "labels, or learn all of them again with --full.",
            ),
            trained=False,
        )

    @classmethod
    def tried_before(cls, model_dir: Path, data: TrainingData) -> "TrainingResult":
        """Return what a run leaves that would be the same as one that was not good enough."""
        return cls(
            model_dir,
            scores={},
            old_scores=None,
            is_current=False,
            left_out=tuple(data.left_out),
            notes=tuple(data.notes),
            warnings=(
                f"This was tried: with the same settings and videos {model_dir.name} was made, "
                "which is worse on earlier videos. Raise training.rehearsal_share or "
                "training.epochs, or learn all videos again with --full.",
            ),
            trained=False,
        )

    def __str__(self) -> str:
        """Tell what was learned, how good it is, and which model is the current one.

        What was left out and noted is told when a run begins.
        """
        if not self.trained:
            return self.warnings[0]
        lines = [f"Learned from {listed(self.learned) or 'simulated scenes alone'}."]
        if self.rehearsed:
            lines.append(f"Rehearsed {listed(self.rehearsed)}.")
        gate = self.scores["gate_px"]
        lines.append(f"Held-out frames, which no model has learned from (gate {gate:g} px):")
        lines += table_lines(self.comparison)
        lines += [f"warning: {line}" for line in self.warnings]
        lines.append(f"Model: {self.model_dir}")
        if self.is_current:
            lines.append("It is now the current model of this workspace.")
        else:
            lines.append(
                "It is worse on earlier videos, so the current model stays. Both are kept; to "
                f"change: cloudtrainer models {self.model_dir.parents[1]} "
                f"--set-current {self.model_dir.name}"
            )
        return "\n".join(lines)


def comparison_table(models: list[tuple[str, Validation]]) -> pd.DataFrame:
    """Put the scores of models side by side, for each kind of frames.

    Returns
    -------
    DataFrame
        ``frames, model, f1, precision, recall, rmse_px``.
    """
    rows = []
    for kind, frames in _KINDS.items():
        for name, validation in models:
            score = validation.by_kind.get(kind)
            if score is not None:
                rows.append(
                    {
                        "frames": frames,
                        "model": name,
                        "f1": score.f1,
                        "precision": score.precision,
                        "recall": score.recall,
                        "rmse_px": score.rmse_px,
                    }
                )
    columns = ["frames", "model", "f1", "precision", "recall", "rmse_px"]
    return pd.DataFrame(rows, columns=columns)


def table_lines(comparison: pd.DataFrame) -> list[str]:
    """Return a comparison as lines of text, in columns."""
    width = max([len(str(name)) for name in comparison["model"]], default=5)
    lines = [
        f"  {'frames':<17} {'model':<{width}}  {'F1':>6} {'precision':>10} {'recall':>7} "
        f"{'position error':>15}"
    ]
    lines += [
        f"  {row.frames:<17} {row.model:<{width}}  {row.f1:6.3f} {row.precision:10.3f} "
        f"{row.recall:7.3f} {_error(float(rmse_px))}"
        for row, rmse_px in zip(comparison.itertuples(), comparison["rmse_px"], strict=True)
    ]
    return lines


def _error(rmse_px: float) -> str:
    return f"{rmse_px:12.3f} px" if math.isfinite(rmse_px) else f"{'-':>15}"


def listed(names: tuple[str, ...], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
