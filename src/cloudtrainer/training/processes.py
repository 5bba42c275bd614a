"""One training at a time in a workspace, and one process of it that writes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from filelock import FileLock, Timeout
from lightning.fabric.utilities.rank_zero import rank_zero_only

from cloudtrainer.errors import WorkspaceError

_Result = TypeVar("_Result")


def is_first_process() -> bool:
    """Tell whether this process is the one that writes, among those that train together."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


@contextmanager
def one_training_at_a_time(logs: Path) -> Iterator[None]:
    """Keep a second training out of a workspace; a killed one does not keep out the next.

    Raises
    ------
    WorkspaceError
        Another training runs in the workspace.
    """
    lock = FileLock(logs / "training.lock")
    if not is_first_process():
        yield
        return
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise WorkspaceError(
            f"{logs.parent}: another training is running in this workspace; wait for its end, or "
            "stop it: it can be continued"
        ) from None
    except (OSError, NotImplementedError):
        # Some mounted drives know no locks.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def shared_by_first_process(work: Callable[[], _Result]) -> _Result:
    """Let the first process do what must be done once, and give all its result or its error."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not together or torch.distributed.get_world_size() == 1:
        return work()
    box: list[_Result | Exception | None] = [None]
    if is_first_process():
        try:
            box[0] = work()
        except Exception as error:
            box[0] = error
    torch.distributed.broadcast_object_list(box, src=0)
    # Left to the end of the interpreter, threads of the group may still run then, and abort it.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    if isinstance(box[0], Exception):
        raise box[0]
    return box[0]  # type: ignore[return-value]
