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
        # The video that was chosen last, by hand or for the newest training.
        self._wanted = Path(twins[0]).name if twins else ""
        self._is_chosen = bool(twins)
        self._paths: dict[str, Path] = {}
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
        return [str(self._paths[self.choice.value].resolve())] if self.choice.value else []

    def show_videos(self, videos: list[ListedVideo]) -> None:
        """Offer the twins of the videos without labels; without any label, the first is chosen."""
        usable = [one for one in videos if one.video is not None]
        self._paths = {one.path.name: one.path for one in usable if one.labels is None}
        self._labelled = sum(one.labels is not None for one in usable)
        before = "the labelled videos, and the" if self._labelled else "the simulated"
        alone = "the labelled videos" if self._labelled else "simulated scenes of every kind"
        options = {alone: ""} | {f"{before} twin of {name}": name for name in self._paths}
        if not self._is_chosen:
            self._wanted = "" if self._labelled else next(iter(self._paths), "")
        value = self._wanted if self._wanted in self._paths else ""
        self._quiet = True
        self.choice.param.update(options=options, value=value)
        self._quiet = False
        self._say()

    def choose(self, video: Path) -> None:
        """Choose the twin of a video, if it has no labels."""
        if video.name in self._paths:
            self.choice.value = video.name

    def _chosen(self, event: Any) -> None:
        if not self._quiet:
            self._wanted, self._is_chosen = event.new, True
            self._say()

    def _say(self) -> None:
        simulated = (
            "The twin is simulated from what is measured in the video: its spots, its background "
            "and its noise. No labels are needed. Look at it first, in the part Data."
        )
        if self.choice.value:
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
