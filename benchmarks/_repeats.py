"""Many independent repeats of a simulation, a process a core."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

# Before NumPy is loaded, here and in the processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd


class Repeats:
    """Processes that repeat what they are given; closed at the end of a ``with``."""

    def __enter__(self) -> "Repeats":
        self._pool = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(
        self, one: Callable[..., dict[str, float]], seeds: Iterable[object], *arguments: object
    ) -> pd.DataFrame:
        """Return a row of what ``one(seed, *arguments)`` gives for each seed."""
        waiting = [self._pool.submit(one, seed, *arguments) for seed in seeds]
        return pd.DataFrame([done.result() for done in waiting])


def seeds(first: int, case: int, repeats: int) -> list[tuple[int, int, int]]:
    """Return a seed for NumPy's generator for each repeat of a case."""
    return [(first, case, number) for number in range(repeats)]
