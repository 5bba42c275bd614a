"""Trainings, analyses and twins as processes of their own, found again by whoever opens the page.

A job is a folder in ``logs/studio`` of the workspace. The page writes ``request.json`` there and
starts the process (`cloudtrainer.studio.worker`), which writes ``state.json``, ``progress.json``
and ``log.txt``. A process holds ``alive.lock`` as long as it lives, so that a killed one is told
from one that works, and waits for ``turn.lock`` of the workspace: one job works, one may wait.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import BaseFileLock, FileLock, Timeout

from cloudtrainer.atomic import write_json
from cloudtrainer.errors import CloudTrainerError, WorkspaceError
from cloudtrainer.workspace import Workspace

Kind = Literal["training", "analysis", "twin"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
State = Literal["waiting", "running", "done", "failed", "stopped", "interrupted"]

LIVING = ("waiting", "running")
# From the request until the process holds its lock: an interpreter must start on a busy machine.
_LONGEST_START_S = 60.0
_LOG_SHOWN_BYTES = 20_000
_LOOK_S = 1.0
_processes: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class Job:
    """A training, an analysis or a twin that was asked for.

    Attributes
    ----------
    folder : Path
        Where it says what it does.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Its name: what it is, and when it was asked for."""
        return self.folder.name

    @property
    def kind(self) -> Kind:
        """What it is."""
        return next(kind for kind in _KINDS if self.name.startswith(f"{kind}_"))

    @property
    def request(self) -> dict[str, Any]:
        """What was asked for."""
        return _read(self.folder / "request.json")

    @property
    def progress(self) -> dict[str, Any]:
        """How far it is; empty before it begins."""
        return _read(self.folder / "progress.json")

    @property
    def told(self) -> dict[str, Any]:
        """What the process said of itself: ``state``, and ``message`` or ``result`` at its end."""
        return _read(self.folder / "state.json")

    @property
    def state(self) -> State:
        """What has become of it; ``interrupted`` where its process was killed."""
        told: State = self.told.get("state", "waiting")
        if told not in LIVING or self._is_alive():
            return told
        asked = float(self.request.get("asked_at", 0.0))
        if not self.told and time.time() - asked < _LONGEST_START_S:
            return "waiting"
        # It may have ended between the two looks.
        told = self.told.get("state", "waiting")
        return "interrupted" if told in LIVING else told

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        try:
            with (self.folder / "log.txt").open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _LOG_SHOWN_BYTES))
                return file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""

    @property
    def stop_is_asked(self) -> bool:
        """Whether it was asked to stop."""
        return (self.folder / "stop").exists()

    def stop(self) -> None:
        """Ask it to stop; it does at its next step, and keeps what it has."""
        (self.folder / "stop").touch()

    def lock(self) -> BaseFileLock:
        """Return the lock that the process holds while it lives."""
        return FileLock(self.folder / "alive.lock")

    def _is_alive(self) -> bool:
        for process in list(_processes):
            # Without this a finished process of ours would stay in the list of processes.
            if process.poll() is not None:
                _processes.remove(process)
        try:
            with self.lock().acquire(timeout=0):
                return False
        except Timeout:
            return True
        except (OSError, NotImplementedError):
            # Some mounted drives know no locks; a job there is believed.
            return self.folder.is_dir()


def turn(place: Workspace) -> BaseFileLock:
    """Return the lock of the job that works in a workspace."""
    _folder(place).mkdir(parents=True, exist_ok=True)
    return FileLock(_folder(place) / "turn.lock")


def jobs(place: Workspace) -> list[Job]:
    """Return the jobs of a workspace, oldest first."""
    if not _folder(place).is_dir():
        return []
    found = [
        Job(path)
        for path in _folder(place).iterdir()
        if path.name.startswith(_KINDS) and (path / "request.json").is_file()
    ]
    return sorted(found, key=lambda job: job.name.partition("_")[2])


def living_jobs(place: Workspace) -> list[Job]:
    """Return the jobs that work or wait, oldest first."""
    # Those that ended long ago need not be looked at: at most two live.
    return [job for job in jobs(place)[-6:] if job.state in LIVING]


def newest(place: Workspace, kind: Kind) -> Job | None:
    """Return the newest job of a kind; None where there is none."""
    return next((job for job in reversed(jobs(place)) if job.kind == kind), None)


def follow(place: Workspace, kind: Kind, show: Callable[[], None]) -> None:
    """Show the newest job until it has ended; for a notebook, whose cell this is.

    Parameters
    ----------
    place : Workspace
        The workspace.
    kind : {"training", "analysis", "twin"}
    show : callable
        Shows how far it is; called each second, and once more at the end.

    Raises
    ------
    CloudTrainerError
        It failed; the message says why.
    """
    job = newest(place, kind)
    while job is not None and job.state in LIVING:
        show()
        try:
            time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            job.stop()
    show()
    if job is not None and job.state in ("failed", "interrupted"):
        raise CloudTrainerError(job.told.get("message") or "the run was killed")


def start(place: Workspace, kind: Kind, asked: dict[str, Any]) -> Job:
    """Start a job, or let it wait for the one that works.

    Raises
    ------
    WorkspaceError
        One waits already, or the folder cannot be written.
    """
    others = living_jobs(place)
    if len(others) > 1:
        raise WorkspaceError(
            f"{others[-1].name} waits already, and one may wait; stop it, or wait for its turn"
        )
    stamp = f"{datetime.now():%Y%m%d_%H%M%S_%f}"
    job = Job(_folder(place) / f"{kind}_{stamp}")
    try:
        job.folder.mkdir(parents=True)
        write_json(
            job.folder / "request.json",
            {"workspace": str(place.root.resolve()), "asked_at": time.time(), **asked},
        )
        with (job.folder / "log.txt").open("wb") as log:
            _processes.append(
                subprocess.Popen(
                    [sys.executable, "-u", "-m", "cloudtrainer.studio.worker", str(job.folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C of the page, or its end, is none of the run.
                    start_new_session=True,
                )
            )
    except OSError as error:
        raise WorkspaceError(
            f"{job.folder}: cannot be written ({error.strerror}); make room on the disk"
        ) from None
    return job


def _folder(place: Workspace) -> Path:
    return place.logs / "studio"


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
