"""What the current model says of a video that is labelled: positions, and frames to label next."""

import asyncio
import threading
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cloudtrainer.studio.suggestions import least_sure, spread_out
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

if TYPE_CHECKING:
    from cloudtrainer.studio.proposals import Proposer

_LOOKED_AT = 64
_LOOK_S = 30.0
_LEAST_LOOKED_AT = 8
_SUGGESTED = 6


class Advice:
    """The workspace's current model, or the bundled one, looking at videos in a thread.

    Parameters
    ----------
    place : Workspace
        The workspace.
    """

    def __init__(self, place: Workspace) -> None:
        self.place = place
        self._proposer: Proposer | None = None
        self._of: tuple[Any, ...] = ()
        self._proposed: dict[int, pd.DataFrame] = {}
        self._one_at_a_time = threading.Lock()

    @property
    def model_name(self) -> str:
        """What the model is called on the page."""
        current = self.place.current_model()
        return "the bundled model" if current is None else f"the current model ({current.name})"

    def known(self, video: Video, number: int) -> pd.DataFrame | None:
        """Return the proposals of a frame where they take no time; None where they do."""
        return self._proposed.get(number) if self._of == self._asked(video) else None

    async def propose(self, video: Video, number: int) -> pd.DataFrame:
        """Return ``x, y, probability`` of what the model finds in a frame.

        Raises
        ------
        CloudTrainerError
            The model or the frame cannot be read.
        """
        return await asyncio.to_thread(self._propose, video, number)

    async def suggest(
        self, video: Video, leave_out: Set[int], tell: Callable[[int, int], None]
    ) -> dict[int, float]:
        """Look at a sample of frames, and return those in which the model is least sure.

        Parameters
        ----------
        video : Video
            The video.
        leave_out : set of int
            Frames that need no label any more.
        tell : callable
            Called with how many frames of how many were looked at.

        Returns
        -------
        dict of int to float
            At most six frames, the least sure first, and how many of its calls there the model
            expects to be wrong.

        Raises
        ------
        CloudTrainerError
            The model or a frame cannot be read.
        """
        numbers = [one for one in spread_out(len(video), _LOOKED_AT) if one not in leave_out]
        doubts: dict[int, float] = {}
        end = time.monotonic() + _LOOK_S
        for number in numbers:
            tell(len(doubts), len(numbers))
            doubts[number] = await asyncio.to_thread(self._doubt, video, number)
            # Every beginning of the sample is spread over the video.
            if time.monotonic() > end and len(doubts) >= _LEAST_LOOKED_AT:
                break
        chosen = least_sure(doubts, _SUGGESTED, len(video))
        return {number: doubts[number] for number in chosen}

    def _propose(self, video: Video, number: int) -> pd.DataFrame:
        with self._one_at_a_time:
            known = self.known(video, number)
            if known is None:
                known = self._ready(video).propose(number)
                self._proposed[number] = known
            return known

    def _doubt(self, video: Video, number: int) -> float:
        with self._one_at_a_time:
            return self._ready(video).doubt(number)

    def _ready(self, video: Video) -> "Proposer":
        # PyTorch is imported when a frame is first looked at: the page is there before.
        from cloudtrainer.detector import load_model
        from cloudtrainer.studio.proposals import Proposer

        asked = self._asked(video)
        if self._proposer is None or self._of != asked:
            self._proposer = Proposer(video, load_model(asked[1]))
            self._of, self._proposed = asked, {}
        return self._proposer

    def _asked(self, video: Video) -> tuple[Video, Path | None]:
        return video, self.place.current_model()
