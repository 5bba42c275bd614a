"""``compare``: conditions side by side, each with the results of its videos."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.output import complaints, console, print_table
from cloudtrainer.errors import ConfigError

_CONDITION = "--condition"
# `--condition NAME FOLDER...` takes any number of folders, which an option of Click's cannot.
CONTEXT = {"ignore_unknown_options": True}


def compare(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the report, the tables and the figure.")
    ],
    conditions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="--condition NAME FOLDER... --condition NAME FOLDER...",
            help="Each condition with its name and the output folders of analyze, one for each "
            "video; the first is the one that others are held against.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="A table with the columns condition and folder instead; folders lie beside it.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a comparison in the output folder.")
    ] = False,
) -> None:
    """Compare conditions: means over videos with 95% intervals, ratios, and a test over videos."""
    given = _parsed(conditions or [])
    if bool(given) == (table is not None):
        raise ConfigError(
            f"give the conditions: {_CONDITION} NAME FOLDER... for each, or --table CSV, not both"
        )

    from cloudtrainer.analysis.conditions import compare_conditions, read_conditions
    from cloudtrainer.analysis.conditions.wording import (
        spoken_mean,
        spoken_names,
        spoken_p,
        spoken_value,
    )

    comparison = compare_conditions(
        read_conditions(table) if table is not None else given, out, overwrite=overwrite
    )
    leading = comparison.leading
    print_table(
        ("quantity", "condition", "videos", "mean over videos, 95% interval"),
        [
            (quantity.label, condition, str(mean.videos), spoken_mean(mean, quantity.unit))
            for quantity in leading
            for condition in comparison.conditions
            if (mean := comparison.means[quantity, condition])
        ],
    )
    console.print()
    print_table(
        (
            "quantity",
            "conditions",
            "ratio or difference, 95% interval",
            "p, adjusted" if len(comparison.conditions) > 2 else "p",
        ),
        [
            (
                pair.quantity.label,
                spoken_names(pair),
                spoken_value(pair),
                spoken_p(pair.adjusted_p_value) or "not tested",
            )
            for pair in comparison.pairs
            if pair.quantity in leading
        ],
    )
    for warning in comparison.warnings:
        complaints.print(f"warning: {escape(warning)}")
    console.print(f"Report: {escape(str(out / 'report.html'))}")


def _parsed(words: list[str]) -> dict[str, list[str]]:
    """Read ``--condition NAME FOLDER...`` as often as it comes.

    Raises
    ------
    ConfigError
        A word stands outside a condition, or an option is not known.
    """
    found: dict[str, list[str]] = {}
    rest = list(words)
    name: str | None = None
    while rest:
        word = rest.pop(0)
        before, sign, after = word.partition("=")
        if word == _CONDITION or (before == _CONDITION and sign):
            if not sign and (not rest or rest[0].startswith("--")):
                raise ConfigError(f"{_CONDITION}: give the name of the condition behind it")
            name = after if sign else rest.pop(0)
            if name in found:
                raise ConfigError(f"the condition {name} is given twice; give its folders together")
            found[name] = []
        elif word.startswith("-"):
            raise ConfigError(f"{word}: no such option; see: cloudtrainer compare --help")
        elif name is None:
            raise ConfigError(
                f"{word}: stands before the first condition; give {_CONDITION} NAME FOLDER..."
            )
        else:
            found[name].append(word)
    return found
