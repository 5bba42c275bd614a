"""The videos whose labels are edited, their labels saved, and what others changed taken in."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.label_edits import LabelEdits
from cloudtrainer.studio.label_file import LabelFile, LabelsChangedError
from cloudtrainer.studio.label_words import conflict_in_words, saved_in_words
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

_TRY_AGAIN_S = 5.0


@dataclass
class Labelled:
    """A video with its labels as they are edited.

    Attributes
    ----------
    path : Path
        The video's file or folder.
    video : Video
        The video.
    file : LabelFile
        Where its labels are kept.
    edits : LabelEdits
        Its labels.
    empty : set of int
        Frames that were confirmed to hold no particle.
    suggested : dict of int to float
        Frames that the model is least sure of, and the wrong calls that it expects there.
    """

    path: Path
    video: Video
    file: LabelFile
    edits: LabelEdits
    empty: set[int]
    suggested: dict[int, float] = field(default_factory=dict)

    @property
    def done(self) -> set[int]:
        """Frames that are labelled or confirmed to be empty."""
        return {*self.edits.frames, *self.empty}


class LabelStore:
    """The videos that were opened.

    Parameters
    ----------
    place : Workspace
        The workspace.
    say : callable
        Called with a sentence, and its kind, on what was changed elsewhere.
    say_saved : callable
        Called with a sentence, and its kind, on what was saved or could not be.

    Attributes
    ----------
    videos : list of Path
        All videos of the workspace that can be opened.
    """

    def __init__(
        self,
        place: Workspace,
        say: Callable[[str, str], None],
        say_saved: Callable[[str, str], None],
    ) -> None:
        self.place = place
        self.videos: list[Path] = []
        self._say, self._say_saved = say, say_saved
        self._opened: dict[Path, Labelled] = {}
        self._saved_told: list[Callable[[], None]] = []
        self._taken_told: list[Callable[[Labelled], None]] = []
        self._opening = threading.Lock()
        self._saving = False
        self._failed_at = 0.0

    def on_saved(self, tell: Callable[[], None]) -> None:
        """Call a function whenever labels were written."""
        self._saved_told.append(tell)

    def on_taken(self, tell: Callable[[Labelled], None]) -> None:
        """Call a function with the video whose labels were read anew."""
        self._taken_told.append(tell)

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are in no file yet."""
        return any(one.edits.unsaved for one in self._opened.values())

    def open(self, path: Path, video: Video) -> Labelled:
        """Open the labels of a video; of one that was open before the changes are still there.

        Raises
        ------
        LabelError
            They cannot be read.
        """
        with self._opening:
            known = self._opened.get(path)
            if known is None or known.video.shape != video.shape:
                file = LabelFile(self.place, path, video, self.videos)
                known = Labelled(path, video, file, LabelEdits(file.read()), file.empty_frames)
                self._opened[path] = known
            return known

    def is_due(self, one: Labelled) -> bool:
        """Tell whether there is something to save or, of this video, to take in."""
        if self._saving or time.monotonic() - self._failed_at < _TRY_AGAIN_S:
            return False
        try:
            return self.unsaved or one.file.changed()
        except (CloudTrainerError, OSError) as error:
            self._failed(one, error)
            return False

    async def save(self) -> None:
        """Write what was changed, in a thread; what was changed elsewhere is taken in before."""
        if self._saving:
            return
        self._saving = True
        try:
            for one in list(self._opened.values()):
                await self._save(one)
        finally:
            self._saving = False

    async def _save(self, one: Labelled) -> None:
        try:
            while True:
                if await asyncio.to_thread(one.file.changed):
                    await self._take_theirs(one)
                if not one.edits.unsaved:
                    return
                snapshot = one.edits.snapshot()
                with suppress(LabelsChangedError):
                    await asyncio.to_thread(one.file.save, one.edits.table(snapshot))
                    one.edits.mark_saved(snapshot)
                    self._failed_at = 0.0
                    self._say_saved(saved_in_words(one.file.target.name, len(snapshot)), "good")
                    for tell in self._saved_told:
                        tell()
        except (CloudTrainerError, OSError) as error:
            self._failed(one, error)

    async def _take_theirs(self, one: Labelled) -> None:
        changed, both = one.edits.take(await asyncio.to_thread(one.file.read))
        for tell in self._taken_told:
            tell(one)
        if changed:
            said = conflict_in_words(changed, both)
            self._say(f"{one.path.name}: {said}", "wrong" if both else "plain")

    def _failed(self, one: Labelled, error: Exception) -> None:
        self._failed_at = time.monotonic()
        kept = " Your changes are kept on this page, and saved as soon as that is possible."
        text = str(error).rstrip(".")
        self._say_saved(f"{text}.{kept if one.edits.unsaved else ''}", "wrong")
