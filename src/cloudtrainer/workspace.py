"""The ``DeepTrack_Studio`` folder and every path in it, as versions 2.0 and 3.0 laid it out."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cloudtrainer.errors import WorkspaceError

_VERSION = re.compile(r"v_\d{8}_\d{6}(_\d+)?")
_FOLDERS = (
    "training_data/videos",
    "training_data/annotations",
    "models",
    "logs",
    "cache",
    "results",
)


@dataclass(frozen=True)
class Workspace:
    """A folder that holds a lab's videos, labels, models and results.

    Attributes
    ----------
    root : Path
        The folder itself.
    """

    root: Path

    @classmethod
    def create(cls, root: str | Path) -> "Workspace":
        """Make the folders that are missing; what is there already is left as it is.

        Raises
        ------
        WorkspaceError
            A folder cannot be made.
        """
        root = Path(root)
        try:
            for folder in _FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{root}: cannot be made a workspace ({error.strerror})") from None
        return cls(root)

    @classmethod
    def open(cls, root: str | Path) -> "Workspace":
        """Open an existing workspace.

        Raises
        ------
        WorkspaceError
            The folder is missing or holds no workspace; the message says how to make one.
        """
        root = Path(root)
        if not (root / "training_data").is_dir() and not (root / "models").is_dir():
            raise WorkspaceError(
                f"{root}: is no workspace; make one with: cloudtrainer init {root}"
            )
        return cls.create(root)

    @property
    def videos(self) -> Path:
        """Folder of the training videos."""
        return self.root / "training_data" / "videos"

    @property
    def annotations(self) -> Path:
        """Folder of the labels, ``<video stem>_particles.csv``."""
        return self.root / "training_data" / "annotations"

    @property
    def models(self) -> Path:
        """Folder of the exported models, ``v_<time>``."""
        return self.root / "models"

    @property
    def logs(self) -> Path:
        """Folder of the training logs and checkpoints."""
        return self.root / "logs"

    @property
    def results(self) -> Path:
        """Folder of the analyses."""
        return self.root / "results"

    def video_files(self) -> list[Path]:
        """Return the training videos (files and folders of images), by name."""
        if not self.videos.is_dir():
            return []
        return sorted(path for path in self.videos.iterdir() if not path.name.startswith("."))

    def labels_of(self, video: Path) -> Path | None:
        """Return the label file of a video, or None where it has none."""
        for stem in label_stems(video):
            labels = self.annotations / f"{stem}_particles.csv"
            if labels.is_file():
                return labels
        return None

    def model_folders(self) -> list[Path]:
        """Return the exported models, oldest first."""
        if not self.models.is_dir():
            return []
        found = [
            path
            for path in self.models.iterdir()
            if _VERSION.fullmatch(path.name) and (path / "weights.pth").is_file()
        ]
        return sorted(found, key=_age)

    def new_model_folder(self, now: datetime | None = None) -> Path:
        """Return a path for a new export, ``models/v_<YYYYMMDD_HHMMSS>``."""
        stamp = (now or datetime.now()).strftime("v_%Y%m%d_%H%M%S")
        folder, again = self.models / stamp, 1
        while folder.exists():
            again += 1
            folder = self.models / f"{stamp}_{again}"
        return folder


def label_stems(video: Path) -> list[str]:
    """Return what the label file of a video may be named by, the usual one first."""
    if video.is_dir():
        return [video.name]
    double = video.name.lower().endswith((".ome.tif", ".ome.tiff"))
    return [Path(video.stem).stem, video.stem] if double else [video.stem]


def _age(folder: Path) -> tuple[str, int]:
    """Sort v_<time>_10 behind v_<time>_2."""
    day, _, rest = folder.name.removeprefix("v_").partition("_")
    time, _, again = rest.partition("_")
    return f"{day}_{time}", int(again) if again.isdigit() else 1
