"""``settings``: every setting with its default, its range and its line of help."""

from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from cloudtrainer.cli.output import console, print_table
from cloudtrainer.config import Config, setting_fields
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
                _shown(default),
                _range(fields[f"{part}.{key}"]),
                _unit(fields[f"{part}.{key}"]),
                fields[f"{part}.{key}"].description or "",
            )
            for key, default in defaults[part].items()
        ]
        console.print(f"[bold]{part}[/]")
        print_table(("setting", "default", "range", "unit", "what it does"), rows)
        console.print()
    console.print("Give one with: cloudtrainer train WORKSPACE --set training.epochs=50")
    console.print("or several in a file: cloudtrainer train WORKSPACE --config config.json")


def _shown(value: Any) -> str:
    """Write a value as it may be given."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return value
        case dict():
            return _shown(list(value.values()))
        case list():
            return f"[{', '.join(_shown(item) for item in value)}]"
        case _:
            return f"{value:.10g}"


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _range(field: FieldInfo) -> str:
    kind, inner = field.annotation, get_args(field.annotation)
    if kind is bool:
        return "true, false"
    if get_origin(kind) is Literal:
        return ", ".join(str(choice) for choice in inner)
    if kind is str:
        return "text"
    if get_origin(kind) is list:
        (bounds,) = get_args(inner[0])[1:]
        return f"each {_bounds(bounds.metadata)}"
    pair = getattr(kind, "model_fields", None)
    if pair:
        return f"[{', '.join(pair)}]"
    return _bounds(field.metadata)


def _bounds(metadata: list[Any]) -> str:
    known = {
        name: f"{getattr(limit, name):.10g}"
        for limit in metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(limit, name)
    }
    match known:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"ge": low}:
            return f"{low} or more"
    words = {"gt": "above", "lt": "below", "le": "up to"}
    return ", ".join(f"{word} {known[name]}" for name, word in words.items() if name in known)
