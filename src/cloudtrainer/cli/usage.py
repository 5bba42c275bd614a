"""What the command line says of a command that cannot be read, in one line."""

import re
from collections.abc import Sequence
from typing import Any

from typer import BadParameter

# BadParameter is one of them; the parent itself is exported by no version of Typer.
USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    parent
    for parent in BadParameter.__mro__
    if issubclass(parent, Exception) and parent.__name__ in ("UsageError", "ClickException")
)


def is_only_help(error: Any) -> bool:
    """Return whether help stands for the error, as where no verb was given."""
    return type(error).__name__ == "NoArgsIsHelpError"


def complaint(error: Any, argv: Sequence[str]) -> str:
    """Return what is wrong with a command, and where its help is.

    Parameters
    ----------
    error : Exception
        One of `USAGE_ERRORS`.
    argv : sequence of str
        The words of the command.
    """
    said = _wrong_number(error, argv)
    if said is None:
        text = str(error.format_message()).strip()
        said = f"{text[:1].lower()}{text[1:].removesuffix('.')}"
    context = getattr(error, "ctx", None)
    return said if context is None else f"{said} (see {context.command_path} --help)"


def _wrong_number(error: Any, argv: Sequence[str]) -> str | None:
    """Return what is wrong with the number of an option; None where something else is wrong."""
    kind = re.search(r"\b(integer|float|number)\b", str(getattr(error, "message", "")))
    names = getattr(getattr(error, "param", None), "opts", ())
    found = _given(names, argv)
    if kind is None or found is None:
        return None
    name, text = found
    if kind[0] == "integer":
        return f"{name} {text}: is no whole number; give one, such as 3"
    if re.fullmatch(r"[+-]?\d*,\d+", text):
        return f"{name} {text}: write the number with a point, {text.replace(',', '.')}"
    return f"{name} {text}: is no number; give one, with a point, such as 0.1"


def _given(names: Sequence[str], argv: Sequence[str]) -> tuple[str, str] | None:
    """Return an option as it was written, and what was given for it, the last of several."""
    for place in reversed(range(len(argv))):
        name, equals, text = argv[place].partition("=")
        if name in names and (equals or place + 1 < len(argv)):
            return name, text if equals else argv[place + 1]
    return None
