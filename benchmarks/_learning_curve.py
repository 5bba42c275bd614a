"""Scores of a detector while it learns, against the seconds it has learned for."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer

from cloudtrainer.evaluation import score_detections

GATE_PX, F1, ERROR_PX, ERROR_OVER_BOUND = 2.0, 0.95, 0.2, 1.5


@dataclass(frozen=True)
class Scene:
    """Frames, the truth about them, how many are learned, and the bound of the others (px)."""

    frames: np.ndarray
    truth: pd.DataFrame
    learned: int
    bound_px: float

    @property
    def held_out(self) -> np.ndarray:
        """Frames that recipes are scored on."""
        return self.frames[self.learned :]


class Curve:
    """Scores of a recipe against its seconds of training."""

    def __init__(self, scene: Scene, limit_s: float) -> None:
        self.scene, self.limit_s = scene, limit_s
        truth = scene.truth[scene.truth["frame"] >= scene.learned]
        self.truth = truth.assign(frame=truth["frame"] - scene.learned)
        self.points: list[dict[str, float | None]] = []
        self.seconds = 0.0
        self._since: float | None = None

    def run(self) -> None:
        """Let the clock run."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Let the clock stand still."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
        self._since = None

    def score(self, step: int, find: Callable[[], pd.DataFrame]) -> None:
        """Score what is found in the held-out frames."""
        self.pause()
        score = score_detections(find(), self.truth, GATE_PX)
        error = score.rmse_px if score.matched else None
        point = {"step": step, "seconds": self.seconds, "f1": score.f1, "error_px": error}
        point["error_over_bound"] = None if error is None else error / self.scene.bound_px
        self.points.append(point)
        self.run()

    def seconds_to(self, error_px: float) -> float | None:
        """Return when F1 and error were first good; None if never."""
        good = (p for p in self.good_f1() if p["error_px"] <= error_px)
        return next((p["seconds"] for p in good), None)

    def good_f1(self) -> list[dict[str, float]]:
        """Return the points whose F1 is good."""
        return [p for p in self.points if p["f1"] >= F1]

    @property
    def over(self) -> bool:
        """Whether all is reached, or the time is up."""
        if self.seconds >= self.limit_s:
            return True
        limits = (ERROR_PX, ERROR_OVER_BOUND * self.scene.bound_px)
        return all(self.seconds_to(limit) is not None for limit in limits)


class Scored(Callback):
    """Scores a module before its first step and every so many steps; stops it when all is met."""

    def __init__(
        self, curve: Curve, every: int, find: Callable[[LightningModule], pd.DataFrame]
    ) -> None:
        self.curve, self.every, self.find = curve, every, find

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._score(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        if trainer.global_step % self.every == 0:
            self._score(trainer, module)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.curve.pause()

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.curve.run()

    def _score(self, trainer: Trainer, module: LightningModule) -> None:
        module.eval()
        self.curve.score(trainer.global_step, lambda: self.find(module))
        module.train()
        trainer.should_stop = trainer.should_stop or self.curve.over
