"""Numbers that a caller gives: told from what is none before anything is computed with them."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from cloudtrainer.errors import ConfigError

# Above this no count of frames, lags or particles is meant.
_LARGEST_COUNT = 10_000_000
# Beyond, squares and ratios leave what a computer can hold.
_LARGEST = 1e15


def is_number(value: object) -> bool:
    """Return whether a value is a finite real number; text and True are none."""
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
    except OverflowError:
        return False


def number(
    name: str, value: object, of: str = "", *, least: float = 0.0, above: bool = False
) -> float:
    """Return a setting that is a number.

    Parameters
    ----------
    name
        Of the setting, for the message.
    value
        What was given.
    of
        What it counts or its unit, such as ``pixels``.
    least
        It must be this or more.
    above
        It must be more than ``least``.

    Raises
    ------
    ConfigError
        It is no finite number, or too small or too large for any use.
    """
    if isinstance(value, Real) and is_number(value):
        given = float(value)
        if (given > least if above else given >= least) and given <= _LARGEST:
            return given
    wanted = f"above {least:g}" if above else f"{least:g} or more"
    units = f" of {of}" if of else ""
    raise ConfigError(f"{name} is {shown(value)}: give a number{units}, {wanted}")


def whole_number(
    name: str, value: object, of: str = "", *, least: int = 0, most: int = _LARGEST_COUNT
) -> int:
    """Return a setting that is a whole number from ``least`` to ``most``, as an int.

    Raises
    ------
    ConfigError
        It is none.
    """
    if isinstance(value, Real) and is_number(value):
        given = float(value)
        if given == math.floor(given) and least <= given <= most:
            return int(given)
    units = f" of {of}" if of else ""
    many = f"{least} or more" if most == _LARGEST_COUNT else f"{least} to {most:,}"
    raise ConfigError(f"{name} is {shown(value)}: give a whole number{units}, {many}")


def choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a setting that is none of the texts to choose from.

    Raises
    ------
    ConfigError
        It is another text, or no text.
    """
    if not isinstance(value, str) or value not in choices:
        *most, last = (repr(text) for text in choices)
        wanted = f"{', '.join(most)} or {last}" if most else last
        raise ConfigError(f"{name} is {shown(value)}: choose {wanted}")


def listed(name: str, values: object, example: str) -> list[Any]:
    """Return a setting that is a list, a tuple or a one-dimensional array, as a list.

    Raises
    ------
    ConfigError
        It is none; the message gives the example.
    """
    if isinstance(values, list | tuple | range) or (
        isinstance(values, np.ndarray) and values.ndim == 1
    ):
        return list(values)
    raise ConfigError(f"{name} is {shown(values)}: give a list of numbers, such as {example}")


def checked_seed(seed: object) -> int:
    """Return the seed of a bootstrap.

    Raises
    ------
    ConfigError
        It is no whole number of 0 or more.
    """
    if not isinstance(seed, bool) and isinstance(seed, int | np.integer) and seed >= 0:
        return int(seed)
    raise ConfigError(f"seed is {shown(seed)}: give a whole number, 0 or more")


def shown(value: object) -> str:
    """Return a value as it stands in a message: short, on one line."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:
        # A whole number of more digits than Python writes.
        text = "a number of very many digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
