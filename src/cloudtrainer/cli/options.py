"""Options made from settings, and the texts of options read."""

from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from rich.markup import escape

from cloudtrainer.errors import ConfigError

PART = "Part of the video"
Frames = Annotated[
    str | None,
    typer.Option(
        metavar="A:B", help="Frames A to B-1, from 0; default: all.", rich_help_panel=PART
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y,W,H",
        help=escape("Part of the frame [px]; default: all of it."),
        rich_help_panel=PART,
    ),
]
Channel = Annotated[
    int | None,
    typer.Option(help="Channel of a file with several, from 0.", rich_help_panel=PART),
]
Plane = Annotated[
    int | None,
    typer.Option(help="Z-plane of a file with several, from 0.", rich_help_panel=PART),
]


def option(section: type[BaseModel], name: str, *flags: str, under: str | None = None) -> Any:
    """Make an option from a setting: its help, with its unit or the words to choose from.

    ``under`` is the heading that it stands under.
    """
    field = section.model_fields[name]
    extra = field.json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else None
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    kind = "|".join(map(str, words)) or unit
    # In a form a field may be left empty; an option is left out.
    text = str(field.description).replace("; empty:", "; default:")
    shown = escape(f"{text} [{kind}]" if kind else text)
    return typer.Option(*flags, help=shown, rich_help_panel=under)


def parse_frames(text: str | None) -> tuple[int, int | None] | None:
    """Read ``A:B``; either end may be open.

    Raises
    ------
    ConfigError
        The text is no such range.
    """
    if text is None:
        return None
    first, colon, after = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first or 0), int(after) if after else None
    except ValueError:
        raise ConfigError(f"--frames {text!r}: give A:B, such as 0:100") from None


def parse_region(text: str | None) -> tuple[int, int, int, int] | None:
    """Read ``X,Y,W,H`` in pixels.

    Raises
    ------
    ConfigError
        The text is not four whole numbers.
    """
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--region {text!r}: give X,Y,W,H, such as 0,0,256,256") from None
    return x, y, width, height
