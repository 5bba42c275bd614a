"""What the verbs write on: the output, the error stream, a progress bar, tables."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from cloudtrainer.inference import Progress

console = Console(highlight=False, soft_wrap=True, emoji=False)
complaints = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

_TABLE_COLUMNS = 100


@contextmanager
def progress_bar() -> Iterator["Progress"]:
    """Show frames done and the time left, on the error stream."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames, time left"),
        TimeRemainingColumn(),
    )
    # Elsewhere than in a terminal a bar that vanishes leaves an empty line.
    shown = complaints.is_terminal
    with Bar(*columns, console=complaints, transient=True, disable=not shown) as bar:
        task = bar.add_task("finding particles", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of texts, or a paragraph for each row where the terminal is narrow."""
    # In a file or a pipe there is no width to keep to.
    width = console.width if console.is_terminal else max(console.width, _TABLE_COLUMNS)
    if width >= _TABLE_COLUMNS:
        _print_grid(columns, rows, width)
        return
    for row in rows:
        console.print(f"[bold]{escape(row[0])}[/]")
        for name, text in zip(columns[1:], row[1:], strict=True):
            if text:
                console.print(f"  {escape(name)}: {escape(text)}")


def _print_grid(columns: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(escape(name), no_wrap=place == 0)
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    # A console of its own, for `print` takes no width beyond that of its console.
    Console(highlight=False, emoji=False, width=width).print(table)
