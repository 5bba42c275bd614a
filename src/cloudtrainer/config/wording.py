"""Settings in words: a value as it may be given, its unit, what it may be."""

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo


def value_as_text(value: Any) -> str:
    """Write a value as it may be given."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return value
        case dict():
            return value_as_text(list(value.values()))
        case list():
            return f"[{', '.join(value_as_text(item) for item in value)}]"
        case _:
            return f"{value:.10g}"


def unit_of(field: FieldInfo) -> str:
    """Return the unit of a setting; empty where it has none."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def range_in_words(field: FieldInfo) -> str:
    """Say what a setting may be."""
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
