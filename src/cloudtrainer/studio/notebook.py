"""What a notebook needs beside the parts: widgets in cells, a folder that stays, a file to keep."""

import importlib.util
import tempfile
from importlib import import_module
from pathlib import Path

import panel as pn

from cloudtrainer.studio.transfer import zip_folder
from cloudtrainer.workspace import Workspace

DRIVE = Path("/content/drive")
NAME = "DeepTrack_Studio"


def open_in_notebook(workspace: str | Path | None = None) -> Workspace:
    """Make widgets work in this notebook, and open its workspace; it is made where there is none.

    Parameters
    ----------
    workspace : str or Path, optional
        The folder; default: ``DeepTrack_Studio``, on Colab in the Drive, which is mounted first,
        elsewhere beside the notebook.

    Raises
    ------
    WorkspaceError
        The folder cannot be made.
    """
    pn.extension("tabulator", inline=True)
    if workspace is None:
        workspace = NAME
        if on_colab():
            import_module("google.colab.drive").mount(str(DRIVE))
            workspace = DRIVE / "MyDrive" / NAME
    return Workspace.create(workspace)


def take_along(folder: str | Path) -> Path:
    """Put a folder of results into a zip, and on Colab send it to the browser.

    Returns
    -------
    Path
        The zip file: beside the folder; on Colab in a temporary folder.
    """
    folder = Path(folder)
    if not on_colab():
        return zip_folder(folder, folder.with_name(f"{folder.name}.zip"))
    path = zip_folder(folder, Path(tempfile.mkdtemp()) / f"{folder.name}.zip")
    import_module("google.colab.files").download(str(path))
    return path


def on_colab() -> bool:
    """Tell whether this runs on Google Colab."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except ModuleNotFoundError:
        return False
