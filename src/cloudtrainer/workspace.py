"""The ``DeepTrack_Studio`` folder and every path in it, as versions 2.0 and 3.0 laid it out."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cloudtrainer.detector.versions import current_version, model_versions, set_current
from cloudtrainer.errors import LabelError, WorkspaceError

# What a file of labels may be named, behind the stem of its video; the usual one first.
_LABEL_ENDINGS = ("_particles.csv", "_particles.xml", "_particles.parquet", ".csv", ".xml")
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
        root = Path(root).expanduser()
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
        root = Path(root).expanduser()
        if not (root / "training_data").is_dir() and not (root / "models").is_dir():
            raise WorkspaceError(
                f"{root}: is no workspace; make one with: cloudtrainer init {root}"
            )
        return cls.create(root)

    def check_writable(self) -> None:
        """Make sure that files can be written before hours are spent on what they should hold.

        Raises
        ------
        WorkspaceError
            A folder is read-only, or its disk is full.
        """
        for folder in (self.logs, self.cache, self.models):
            trial = folder / ".writable"
            try:
                try:
                    trial.write_bytes(bytes(4096))
                finally:
                    # Another process of the same training may have taken it away.
                    trial.unlink(missing_ok=True)
            except OSError as error:
                raise WorkspaceError(
                    f"{folder}: cannot be written ({error.strerror}); make room, or choose a "
                    "workspace on another disk"
                ) from None

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
    def lightning_logs(self) -> Path:
        """Folder of the runs' checkpoints and metrics, where version 3.0 had it."""
        return self.logs / "lightning_logs"

    @property
    def ledger(self) -> Path:
        """File that says which videos were learned, by which model."""
        return self.root / "cache" / "training_tracker.json"

    @property
    def cache(self) -> Path:
        """Folder of what can be made again: decoded frames, hashes."""
        return self.root / "cache"

    @property
    def rehearsal(self) -> Path:
        """Folder of frames kept from learned videos, to be rehearsed when those are gone."""
        return self.root / "training_data" / "rehearsal"

    @property
    def results(self) -> Path:
        """Folder of the analyses."""
        return self.root / "results"

    def video_files(self) -> list[Path]:
        """Return the training videos (files and folders of images), by name."""
        if not self.videos.is_dir():
            return []
        return sorted(path for path in self.videos.iterdir() if not path.name.startswith("."))

    def label_files(self) -> list[Path]:
        """Return the files in the folder of labels, by name."""
        if not self.annotations.is_dir():
            return []
        return sorted(
            path
            for path in self.annotations.iterdir()
            if path.is_file() and not path.name.startswith(".")
        )

    def labels_of(self, videos: list[Path]) -> dict[Path, Path]:
        """Return the file of labels of each video that has one, told by its name.

        Where a name fits several videos, it belongs to the one for which versions 2.0 and 3.0
        would have taken it.

        Raises
        ------
        LabelError
            A video has two files of labels, or a file fits two videos equally well.
        """
        fitting: dict[str, list[tuple[int, Path]]] = {}
        for video in videos:
            for name, rank in label_names(video).items():
                fitting.setdefault(name, []).append((rank, video))
        labels: dict[Path, Path] = {}
        for file in self.label_files():
            fits = fitting.get(comparable_name(file), [])
            best = min((rank for rank, _ in fits), default=0)
            owners = [video for rank, video in fits if rank == best]
            if len(owners) > 1:
                raise LabelError(
                    f"{file.name}: belongs to two videos, {owners[0].name} and {owners[1].name}; "
                    "rename one of them and give it labels of its own"
                )
            for video in owners:
                if video in labels:
                    raise LabelError(
                        f"{video.name}: has two files of labels, {labels[video].name} and "
                        f"{file.name}; keep one of them"
                    )
                labels[video] = file
        return labels

    def labels_csv(self, video: Path, labels: Path | None) -> Path:
        """Return the CSV file of a video's labels: the one that is there, or is to be written.

        Parameters
        ----------
        video : Path
            The video's file or folder.
        labels : Path or None
            Its file of labels, in any format; None: it has none.
        """
        if labels is not None and labels.suffix.lower() == ".csv":
            return labels
        stem = video.name if video.is_dir() else video.stem
        return self.annotations / f"{stem}{_LABEL_ENDINGS[0]}"

    def model_folders(self) -> list[Path]:
        """Return the exported models, oldest first."""
        return model_versions(self.models)

    def current_model(self) -> Path | None:
        """Return the model that analyses and trainings begin with; None where there is none."""
        return current_version(self.models)

    def set_current(self, version: str) -> None:
        """Make a model the current one.

        Raises
        ------
        ModelError
            There is no model of that version.
        """
        set_current(self.models, version)

    def new_model_folder(self, now: datetime | None = None) -> Path:
        """Return a path for a new export, ``models/v_<YYYYMMDD_HHMMSS>``."""
        stamp = (now or datetime.now()).strftime("v_%Y%m%d_%H%M%S")
        folder, again = self.models / stamp, 1
        while folder.exists():
            again += 1
            folder = self.models / f"{stamp}_{again}"
        return folder


def label_names(video: Path) -> dict[str, int]:
    """Return what the file of a video's labels may be named, the usual name first.

    Returns
    -------
    dict of str to int
        For each name 0 where versions 2.0 and 3.0 would have taken it, else 1.
    """
    stems = [video.name if video.is_dir() else video.stem]
    if not video.is_dir() and video.name.lower().endswith((".ome.tif", ".ome.tiff")):
        stems.insert(0, Path(video.stem).stem)
    usual = comparable_name(Path(stems[-1] + _LABEL_ENDINGS[0]))
    names = [comparable_name(Path(stem + ending)) for stem in stems for ending in _LABEL_ENDINGS]
    return {name: int(name != usual) for name in names}


def comparable_name(file: Path) -> str:
    """Return a file's name as names are compared: .CSV is .csv, and macOS's accents are others'."""
    return unicodedata.normalize("NFC", file.stem + file.suffix.lower())
