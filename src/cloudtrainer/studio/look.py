"""The look that all parts share."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from html import escape
from typing import Any, TypeVar

import panel as pn

Made = TypeVar("Made")
_changing: ContextVar[bool] = ContextVar("_changing", default=False)

BLUE, VERMILLION, GREEN, ORANGE, SKY = "#0072B2", "#D55E00", "#007a58", "#E69F00", "#56B4E9"
INK, GREY, PALE = "#222222", "#5c5c5c", "#e3e3e3"

# Inside each pane: a page's style sheet does not reach into a widget's own tree.
FIELD_CSS = (
    "<style>.help{color:#5c5c5c;font-size:12px;line-height:1.3}"
    ".faster{color:#007a58;white-space:nowrap}"
    ".wrong{color:#a33b00;font-size:13px;font-weight:600;line-height:1.3}</style>"
)
TABLE_CSS = """
.tabulator { font-size: 13px; }
.tabulator-row .tabulator-cell { white-space: normal; overflow-wrap: anywhere; }
.tabulator-row.tabulator-selected { background: #d3e5f3 !important; color: #222 !important; }
"""
CARD: dict[str, Any] = {
    "sizing_mode": "stretch_width",
    "margin": (6, 4),
    "header_background": "#eef3f7",
    "active_header_background": "#eef3f7",
}


def sentence(text: str, kind: str = "plain") -> str:
    """Return a sentence as HTML, whatever signs are in it; kinds: plain, good, wrong, help."""
    colour = {"good": GREEN, "wrong": "#a33b00", "help": GREY}.get(kind, INK)
    role = ' role="alert"' if kind == "wrong" else ""
    style = f"color:{colour};white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<div class="sentence {kind}" style="{style}"{role}>{escape(text)}</div>'


def in_turn(change: Callable[[], None], *shown: Any) -> None:
    """Change Bokeh's own models: on a page under the lock of its document, else at once.

    Panel takes care of its widgets by itself, and of nothing below them. What is changed within
    another change belongs to it.

    Parameters
    ----------
    change : callable
        What changes them.
    shown : Panel objects
        What shows them; a notebook is told of the change.
    """
    document = pn.state.curdoc
    if _changing.get():
        change()
    elif document is None or not on_page():
        change()
        pn.io.push_notebook(*shown)
    else:
        document.add_next_tick_callback(lambda: _together(change))


def _together(change: Callable[[], None]) -> None:
    token = _changing.set(True)
    try:
        change()
    finally:
        _changing.reset(token)


def on_page() -> bool:
    """Tell whether a server shows this, and not a notebook."""
    document = pn.state.curdoc
    return document is not None and document.session_context is not None


def aside(work: Callable[[], Made], show: Callable[[Made], None]) -> None:
    """Do work in a thread and show what it returns: the page goes on meanwhile.

    In a notebook both are done at once.
    """
    if not on_page():
        show(work())
        return

    async def do() -> None:
        show(await asyncio.to_thread(work))

    pn.state.execute(do)
