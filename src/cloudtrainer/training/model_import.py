"""Taking a model from elsewhere into a workspace: a file, an export folder, or a zip of one."""

import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.versions import (
    FILE_SUFFIXES,
    VERSION_NAME,
    WEIGHTS,
    ZIP_SUFFIX,
    read_metadata,
)
from cloudtrainer.errors import ModelError
from cloudtrainer.training.models import export_checkpoint
from cloudtrainer.version import __version__
from cloudtrainer.workspace import Workspace

# What an export of this version, of 3.0 or of 2.0 holds; nothing else is taken.
_FILES = frozenset(
    {
        *WEIGHTS, "metadata.json", "config.json", "MODEL_CARD.md", "model_card.md",
        "training_progress.png", "model.onnx",
    }
)  # fmt: skip
_LARGEST_BYTES = 1 << 32
_CHUNK = 1 << 20
# What unpacking raises, of all the ways in which a zip can be packed.
_DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError,
    zlib.error, lzma.LZMAError,
)  # fmt: skip


def import_model(source: Path, place: Workspace, name: str | None = None) -> Path:
    """Add a model from elsewhere to a workspace; which one is current stays as it is.

    An export folder, or its zip, is taken as it is, with its scores and its card, once its weights
    have been loaded. Of a file an export is made, as `export_checkpoint` does.

    Parameters
    ----------
    source : Path
        A ``.pth``, ``.ckpt`` or ``.safetensors`` of this version, of 3.0 or of 2.0, an export
        folder, or a ``.zip`` that holds one.
    place : Workspace
        The workspace.
    name : str, optional
        What the source is called in messages; default: its name.

    Returns
    -------
    Path
        The folder of the new model. It keeps the version of an export where that is free.

    Raises
    ------
    ModelError
        It is no model, is damaged, comes from a newer version, needs code of its own to be
        loaded, is in the workspace already, or cannot be written.
    """
    name = name or source.name
    before = place.current_model()
    if not source.exists():
        raise ModelError(f"{source}: no such file or folder; check the path")
    try:
        if source.is_dir() or source.suffix.lower() == ZIP_SUFFIX:
            folder = _take_export(source, place, name)
        elif source.suffix.lower() in FILE_SUFFIXES:
            folder = _take_file(source, place, name)
        else:
            raise ModelError(
                f"{name}: is no model; give a {', '.join((*FILE_SUFFIXES, ZIP_SUFFIX))} or the "
                "folder of a model"
            )
        # A model that was current for being the newest is not replaced by a guest.
        if before is not None and place.current_model() != before:
            place.set_current(before.name)
    except OSError as error:
        raise ModelError(
            f"{name}: could not be added ({error.strerror or error}); make room on the disk"
        ) from None
    return folder


def _take_file(source: Path, place: Workspace, name: str) -> Path:
    try:
        return export_checkpoint(source, workspace=place.root)
    except ModelError as error:
        raise ModelError(str(error).replace(str(source), name)) from None


def _take_export(source: Path, place: Workspace, name: str) -> Path:
    aside = Path(tempfile.mkdtemp(prefix=".importing_", dir=place.models))
    try:
        unpacked = aside / "model"
        unpacked.mkdir()
        if source.is_dir():
            version = _copy_folder(source, unpacked, name)
        else:
            version = _unpack(source, unpacked, name)
        _check(unpacked, name)
        folder = _place_for(version, unpacked, place, name)
        unpacked.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _copy_folder(source: Path, to: Path, name: str) -> str:
    if not any((source / file).is_file() for file in WEIGHTS):
        more = ""
        if (source / "models").is_dir():
            more = f"; it is a workspace: give one of the folders in {source / 'models'}"
        raise ModelError(f"{name}: is no model; it holds no {' and no '.join(WEIGHTS)}{more}")
    for file in sorted(_FILES):
        if (source / file).is_file():
            shutil.copyfile(source / file, to / file)
    return source.resolve().name


def _unpack(source: Path, to: Path, name: str) -> str:
    """Unpack the one model of a zip; names in it decide no path."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = {
                PurePosixPath(one.filename.replace("\\", "/")): one
                for one in archive.infolist()
                if not one.is_dir()
            }
            folders = sorted({path.parent for path in members if path.name in WEIGHTS})
            if len(folders) != 1:
                found = f"{len(folders)} models" if folders else f"no {' and no '.join(WEIGHTS)}"
                raise ModelError(
                    f"{name}: holds {found}; a zip with the folder of one model is expected"
                )
            left = _LARGEST_BYTES
            for path, member in members.items():
                if path.parent == folders[0] and path.name in _FILES:
                    left -= _extract(archive, member, to / path.name, left, name)
    except _DAMAGED as error:
        raise ModelError(f"{name}: is damaged, or no zip file ({error})") from None
    return folders[0].name


def _extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path, most: int, name: str
) -> int:
    size = 0
    # What a zip says of its sizes may be wrong.
    with archive.open(member) as packed, to.open("wb") as file:
        while piece := packed.read(_CHUNK):
            size += len(piece)
            if size > most:
                raise ModelError(f"{name}: is larger than any model; nothing was kept")
            file.write(piece)
    return size


def _check(unpacked: Path, name: str) -> None:
    """Load the model, with weights, numbers and text alone."""
    try:
        ParticleDetector.load_from_checkpoint(unpacked)
    except ModelError as error:
        text = str(error).replace(str(unpacked), name)
        made_by = _version_of(unpacked)
        if made_by and _numbers(made_by) > _numbers(__version__):
            text += (
                f". It was made by cloudtrainer {made_by}, and this is {__version__}: update "
                "cloudtrainer and add it again"
            )
        raise ModelError(text) from None


def _version_of(folder: Path) -> str:
    said = read_metadata(folder).get("compatibility")
    return str(said.get("cloudtrainer_version") or "") if isinstance(said, dict) else ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]{1,9}", version)][:3]


def _place_for(version: str, unpacked: Path, place: Workspace, name: str) -> Path:
    """Return where it goes: under its own version, or a new one where that is another model's."""
    if not VERSION_NAME.fullmatch(version):
        return place.new_model_folder()
    folder = place.models / version
    if not folder.exists():
        return folder
    for file in WEIGHTS:
        with suppress(OSError):
            if (folder / file).read_bytes() == (unpacked / file).read_bytes():
                raise ModelError(f"{name}: is in the workspace already, as {version}")
    return place.new_model_folder()
