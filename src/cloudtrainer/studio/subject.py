"""What a training learns: the labelled videos, simulated scenes, the twin of a video."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.videos import ListedVideo

_WIDTH = 440


class Subject:
    """The choice of what is learned.

    Parameters
    ----------
    twins : sequence of str
        Videos whose twins the newest training learned: the first is chosen again.

    Attributes
    ----------
    layout : Panel
        The choice, and what it means.
    """

    def __init__(self, twins: Sequence[str] = ()) -> None:
        # What was chosen last, by hand or for the newest training.
        self._wanted: Path | None = Path(twins[0]) if twins else None
        self._is_chosen = bool(twins)
        self._labelled = 0
        self.choice = pn.widgets.Select(label="Train on", options={}, width=_WIDTH)
        self.about = pn.pane.HTML("", sizing_mode="stretch_width", align="end")
        self.layout = pn.Row(self.choice, self.about, sizing_mode="stretch_width")
        self._quiet = False
        self.choice.param.watch(self._chosen, "value")
        self.show_videos([])

    @property
    def twins(self) -> list[str]:
        """Videos whose twins are to be learned."""
        return [str(self.choice.value.resolve())] if self.choice.value is not None else []

    def show_videos(self, videos: list[ListedVideo]) -> None:
        """Offer the twins of the videos without labels; without any label, the first is chosen."""
        usable = [one for one in videos if one.video is not None]
        unlabelled = [one.path for one in usable if one.labels is None]
        self._labelled = sum(one.labels is not None for one in usable)
        before = "the labelled videos, and the" if self._labelled else "the simulated"
        options: dict[str, Path | None] = {
            "the labelled videos" if self._labelled else "simulated scenes of every kind": None
        }
        options |= {f"{before} twin of {path.name}": path for path in unlabelled}
        if not self._is_chosen:
            self._wanted = unlabelled[0] if unlabelled and not self._labelled else None
        name = self._wanted.name if self._wanted is not None else None
        self._quiet = True
        self.choice.options = options
        self.choice.value = next((path for path in unlabelled if path.name == name), None)
        self._quiet = False
        self._say()

    def choose(self, video: Path) -> None:
        """Choose the twin of a video, if it has no labels."""
        if video in self.choice.options.values():
            self.choice.value = video

    def _chosen(self, event: Any) -> None:
        if not self._quiet:
            self._wanted, self._is_chosen = event.new, True
            self._say()

    def _say(self) -> None:
        simulated = (
            "The twin is simulated from what is measured in the video: its spots, its background "
            "and its noise. No labels are needed. Look at it first, in the part Data."
        )
        if self.choice.value is not None:
            about = simulated
            if self._labelled:
                about += " The labelled videos are learned, or rehearsed, as well."
        elif self._labelled:
            about = (
                "New labelled videos are learned, and earlier ones rehearsed. For a video without "
                "labels choose its simulated twin."
            )
        else:
            about = (
                "Nothing of your own is learned. Add a video in the part Data and choose its "
                "simulated twin, or label some frames."
            )
        self.about.object = sentence(about, "help")
