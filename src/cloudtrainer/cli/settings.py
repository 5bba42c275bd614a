"""``settings``: every setting with its default, its range and its line of help."""

from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.output import console, print_table
from cloudtrainer.config import (
    Config,
    range_in_words,
    setting_fields,
    unit_of,
    value_as_text,
)
from cloudtrainer.errors import ConfigError


def settings(
    section: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(Config.model_fields)}; default: all of them."),
    ] = None,
) -> None:
    """List every setting with its default, its range and its unit."""
    sections = list(Config.model_fields)
    if section is not None and section not in sections:
        raise ConfigError(f"{section!r}: no such section; choose one of {', '.join(sections)}")
    defaults = Config().to_dict()
    fields = setting_fields()
    # A table for each section: the widths of its columns are its own.
    for part in [section] if section else sections:
        rows = [
            (
                f"{part}.{key}",
                value_as_text(default),
                range_in_words(fields[f"{part}.{key}"]),
                unit_of(fields[f"{part}.{key}"]),
                fields[f"{part}.{key}"].description or "",
            )
            for key, default in defaults[part].items()
        ]
        console.print(f"[bold]{part}[/]")
        print_table(("setting", "default", "range", "unit", "what it does"), rows)
        console.print()
    if section == "analysis":
        console.print("Give one with: cloudtrainer analyze VIDEO -o OUT --drift none")
        return
    part = section or "training"
    key, default = next(
        (key, default)
        for key, default in defaults[part].items()
        if default is not None and not isinstance(default, dict | list)
    )
    example = f"{part}.{key}={value_as_text(default)}"
    console.print(f"Give one with: cloudtrainer train WORKSPACE --set {escape(example)}")
    console.print("or several in a file: cloudtrainer train WORKSPACE --config config.json")
