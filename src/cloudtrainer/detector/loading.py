"""Finding the model that is asked for."""

from importlib.resources import as_file, files
from pathlib import Path

from cloudtrainer.detector.module import ParticleDetector
from cloudtrainer.detector.versions import WEIGHTS, current_version
from cloudtrainer.errors import ModelError

# Where the models of a workspace lie, when a model is asked for by its version alone.
_USUAL_WORKSPACES = (Path("DeepTrack_Studio"), Path("/content/drive/MyDrive/DeepTrack_Studio"))


def load_model(source: str | Path | None = None) -> ParticleDetector:
    """Load a detector, ready to run.

    Parameters
    ----------
    source : str, Path or None
        None: the model that comes with the package. A file or folder: any model of this version,
        of 3.0 or of 2.0; a ``model.onnx`` runs in ONNX Runtime. A workspace, such as
        ``DeepTrack_Studio``: its current model. A version such as ``v_20260101_120000``: the model
        of that name in ``DeepTrack_Studio/models``, here or on a mounted Drive.

    Raises
    ------
    ModelError
        There is no such model, or the file is none.
    """
    if source is None:
        with as_file(files("cloudtrainer") / "models" / "default") as folder:
            return ParticleDetector.load_from_checkpoint(folder)
    path = Path(source)
    if not path.exists():
        named = [place / "models" / str(source) for place in _USUAL_WORKSPACES]
        found = [place for place in named if place.is_dir()]
        if not found or path.name != str(source):
            raise ModelError(f"{source}: no such model file, export folder, workspace or version")
        path = found[0]
    if _is_workspace(path):
        current = current_version(path / "models")
        if current is None:
            raise ModelError(
                f"{path}: this workspace holds no model yet; train one, or name a file"
            )
        path = current
    return ParticleDetector.load_from_checkpoint(path)


def _is_workspace(path: Path) -> bool:
    export = any((path / name).is_file() for name in WEIGHTS)
    return (path / "models").is_dir() and not export
