"""The process of a job: it waits for its turn, works, and says how far it is and how it ended."""

import signal
import sys
import threading
import time
import traceback
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, Timeout

from cloudtrainer.atomic import write_json
from cloudtrainer.config import Config
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.jobs import Job, turn
from cloudtrainer.workspace import Workspace

_LOOK_S = 0.5
_LOCKED_WITHIN_S = 10.0
# An interruption may be lost in code that heeds none: it is then made again.
_INTERRUPT_EVERY_S = 10.0


def main(folder: Path) -> int:
    """Do a job; what becomes of it is written into its folder."""
    job = Job(folder)
    # Both are held until the process ends: a lock that nobody holds on to is released.
    alive, my_turn = job.lock(), turn(Workspace.open(job.request["workspace"]))
    try:
        alive.acquire(timeout=_LOCKED_WITHIN_S)
    except Timeout:
        print("another process does this job already")
        return 1
    except (OSError, NotImplementedError):
        print("this disk knows no locks: a killed run will seem to go on")
    try:
        _wait_for_turn(job, my_turn)
        _tell(job, "running")
        result = _DO[job.kind](job)
        _tell(job, "done", result=result)
    except KeyboardInterrupt:
        _tell(job, "stopped", message="Stopped.")
    except CloudTrainerError as error:
        print(f"error: {error}")
        _tell(job, "failed", message=str(error))
    except Exception as error:
        traceback.print_exc()
        _tell(
            job,
            "failed",
            message=f"internal error: {type(error).__name__}: {error}. This is a fault of "
            "cloudtrainer; please report it with the log.",
        )
        return 1
    return 0


def _wait_for_turn(job: Job, lock: BaseFileLock) -> None:
    _tell(job, "waiting")
    while True:
        if job.stop_is_asked:
            raise KeyboardInterrupt
        try:
            lock.acquire(timeout=0)
        except Timeout:
            time.sleep(_LOOK_S)
        except (OSError, NotImplementedError):
            return
        else:
            return


def _train(job: Job) -> dict[str, Any]:
    from cloudtrainer.studio.progress import ProgressFile
    from cloudtrainer.training import train

    asked = job.request
    result = train(
        asked["workspace"],
        Config.from_dict(asked["config"]),
        twins=asked.get("twins", ()),
        callbacks=[ProgressFile(job)],
        say=_say(job),
    )
    print(result)
    return {
        "model": result.model_dir.name,
        "trained": result.trained,
        "is_current": result.is_current,
        "text": str(result),
    }


def _analyse(job: Job) -> dict[str, Any]:
    from cloudtrainer.analysis import analyze

    asked = job.request
    begun = time.monotonic()
    out = Path(asked["out"])
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in asked.get("given", {}).items()
    }

    def show(done: int, total: int) -> None:
        if job.stop_is_asked:
            raise KeyboardInterrupt
        left = (time.monotonic() - begun) * (total - done) / max(1, done)
        write_json(
            job.folder / "progress.json", {"done": done, "total": total, "seconds_left": left}
        )

    try:
        with _stopped_anywhere(job):
            analysis = analyze(
                asked["video"],
                out,
                asked.get("model"),
                config=Config.from_dict(asked["config"]),
                **given,
                progress=show,
                say=_say(job),
            )
            print(analysis)
    except KeyboardInterrupt:
        # The folder was not there before: it is whole, and the stop came too late.
        if not (out / "summary.json").is_file():
            raise
    return {"out": str(out)}


@contextmanager
def _stopped_anywhere(job: Job) -> Iterator[None]:
    """Interrupt this process when its job is asked to stop, whatever it is doing.

    Linking and measuring call nothing back. The folder of results is made whole at the end or not
    at all, also then.
    """
    # A shell that starts a program in the background may have it ignore interruptions.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ended, one_at_a_time = threading.Event(), threading.Lock()

    def watch() -> None:
        wait = _LOOK_S
        while not ended.wait(wait):
            with one_at_a_time:
                if job.stop_is_asked and not ended.is_set():
                    _interrupt_main_thread()
                    wait = _INTERRUPT_EVERY_S

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        # No interruption comes later than this: how the job ended is then written undisturbed.
        with one_at_a_time:
            ended.set()


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):
        # Also wakes it where it waits for something.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        interrupt_main()


def _simulate(job: Job) -> dict[str, Any]:
    from cloudtrainer.simulation.twin.files import FRAMES, NUMBERS, PICTURE
    from cloudtrainer.training import make_twin
    from cloudtrainer.training.hashes import ContentHashes

    asked = job.request
    make_twin(asked["video"], asked["out"], train=False, overwrite=True, say=_say(job))
    # The page tells by it whether the video is still the one that was measured.
    hashes = ContentHashes(Workspace.open(asked["workspace"]).cache / "content_hashes.json")
    hashes.of(Path(asked["video"]))
    hashes.save()
    files = {"numbers": NUMBERS, "frames": FRAMES, "picture": PICTURE}
    return {name: str(Path(asked["out"]) / file) for name, file in files.items()}


_DO: dict[str, Callable[[Job], dict[str, Any]]] = {
    "training": _train,
    "analysis": _analyse,
    "twin": _simulate,
}


def _say(job: Job) -> Callable[[str], None]:
    def say(line: str) -> None:
        print(line)
        if job.stop_is_asked:
            raise KeyboardInterrupt

    return say


def _tell(job: Job, state: str, **more: Any) -> None:
    write_json(job.folder / "state.json", {"state": state, "at": time.time(), **more})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
