"""Files that come and go beside the page: uploads as a stream to the disk, reports, and zips."""

import asyncio
import errno
import os
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tornado.web import HTTPError, RequestHandler, StaticFileHandler, stream_request_body

from cloudtrainer.errors import CloudTrainerError, WorkspaceError
from cloudtrainer.studio.videos import Place, add_model, check, destination
from cloudtrainer.workspace import Workspace

_MOST_UPLOAD_BYTES = 1 << 42
_CHUNK = 1 << 20
_FORGOTTEN_S = 600.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@stream_request_body
class Upload(RequestHandler):
    """Takes one file, ``POST ?name=...`` with the file as the body, into the workspace."""

    def initialize(self, place: Workspace) -> None:
        """Keep the workspace."""
        self.place = place
        self.path: Path | None = None
        self.kind: Place = "videos"
        self.file: BinaryIO | None = None
        self.trouble: tuple[int, str] | None = None

    def prepare(self) -> None:
        """Open the unfinished file before the first bytes come."""
        if self.request.headers.get("X-Cloudtrainer") != "upload":
            raise HTTPError(403)
        # Only a POST has a body; without this tornado ends at 100 MB.
        self.request.connection.set_max_body_size(_MOST_UPLOAD_BYTES)  # type: ignore[union-attr]
        try:
            self.path, self.kind = destination(self.place, self.get_query_argument("name"))
            self.path.parent.mkdir(exist_ok=True)
            self.file = self._open(self.path)
        except FileExistsError:
            self.trouble = 409, f"{self.get_query_argument('name')}: is being sent already"
            self.path = None
        except WorkspaceError as error:
            self.trouble = 409, str(error)
        except OSError as error:
            self._fail(error)

    async def data_received(self, chunk: bytes) -> None:
        """Write a piece; what comes behind an error is left out."""
        if self.file is None:
            return
        try:
            await asyncio.to_thread(self.file.write, chunk)
        except OSError as error:
            self._fail(error)

    async def post(self) -> None:
        """Look whether the whole file is what it should be, and give it its name."""
        said = ""
        if self.file is not None and self.path is not None:
            try:
                said = await asyncio.to_thread(self._finish, self.file, self.path)
            except OSError as error:
                self._fail(error)
            except CloudTrainerError as error:
                unfinished = str(self._unfinished(self.path))
                text = str(error).replace(unfinished, self.path.name)
                self.trouble = 415, text.replace(Path(unfinished).name, self.path.name)
            finally:
                self._clean_up()
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        if self.trouble is not None:
            self.set_status(self.trouble[0])
            said = self.trouble[1]
        await self.finish(said)

    def on_connection_close(self) -> None:
        """Remove what has come of a file that was broken off."""
        self._clean_up()

    def on_finish(self) -> None:
        """Leave nothing behind, however it ended."""
        self._clean_up()

    def _open(self, path: Path) -> BinaryIO:
        unfinished = self._unfinished(path)
        with suppress(FileNotFoundError):
            # Of a page that was killed while it was sent: nobody writes to it any more.
            if time.time() - unfinished.stat().st_mtime > _FORGOTTEN_S:
                unfinished.unlink()
        return unfinished.open("xb")

    def _finish(self, file: BinaryIO, path: Path) -> str:
        file.flush()
        os.fsync(file.fileno())
        file.close()
        unfinished = self._unfinished(path)
        if self.kind == "models":
            # Another tab may send one of this name while this one is looked at.
            with tempfile.TemporaryDirectory(dir=path.parent) as aside:
                sent = unfinished.rename(Path(aside) / path.name)
                return f"Added {add_model(self.place, sent)}."
        said = check(self.place, unfinished, path, self.kind)
        if path.exists():
            raise WorkspaceError(f"{path.name}: a file of this name came meanwhile; rename yours")
        unfinished.rename(path)
        return f"Added {said}."

    def _fail(self, error: OSError) -> None:
        name = self.path.name if self.path else ""
        if error.errno in _NO_ROOM:
            self.trouble = (
                507,
                (
                    f"{name}: the disk of the workspace is full; nothing was kept. Make room, and "
                    "send it again"
                ),
            )
        else:
            self.trouble = 500, f"{name}: could not be written ({error.strerror or error})"
        self._clean_up()

    def _clean_up(self) -> None:
        if self.file is not None and self.path is not None:
            self.file.close()
            self._unfinished(self.path).unlink(missing_ok=True)
            self.file = None
            if self.kind == "models":
                with suppress(OSError):
                    self.path.parent.rmdir()

    @staticmethod
    def _unfinished(path: Path) -> Path:
        return path.with_name(f".sending-{path.name}")


class Results(StaticFileHandler):
    """Gives the files of the analyses, and nothing else of the disk."""

    def set_extra_headers(self, path: str) -> None:
        """Let no old report be shown."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")


class Zip(RequestHandler):
    """Gives a folder of the workspace as a zip, made on the disk and sent in pieces."""

    def initialize(self, parents: dict[str, Path]) -> None:
        """Keep the folders that may be asked for by their first name."""
        self.parents = parents

    async def get(self, kind: str, name: str) -> None:
        """Send it."""
        there = {path.name: path for path in self.parents[kind].iterdir() if path.is_dir()}
        if name not in there:
            raise HTTPError(404)
        folder = there[name]
        with tempfile.TemporaryDirectory() as aside:
            path = Path(aside) / "it.zip"
            await asyncio.to_thread(zip_folder, folder, path)
            self.set_header("Content-Type", "application/zip")
            self.set_header("Content-Length", str(path.stat().st_size))
            plain = name.encode("ascii", "replace").decode().replace('"', "_")
            self.set_header("Content-Disposition", f'attachment; filename="{plain}.zip"')
            with path.open("rb") as file:
                while piece := await asyncio.to_thread(file.read, _CHUNK):
                    self.write(piece)
                    await self.flush()


def zip_folder(folder: Path, path: Path) -> Path:
    """Write a folder, under its name, as a zip file.

    Parameters
    ----------
    folder : Path
        What to put in.
    path : Path
        The zip file to make.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not any(part.startswith(".") for part in file.parts[-1:]):
                archive.write(file, Path(folder.name) / file.relative_to(folder))
    return path
