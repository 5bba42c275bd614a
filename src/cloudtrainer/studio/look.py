"""The look that all parts share."""

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn

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

    Panel takes care of its widgets by itself, and of nothing below them.

    Parameters
    ----------
    change : callable
        What changes them.
    shown : Panel objects
        What shows them; a notebook is told of the change.
    """
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        change()
        pn.io.push_notebook(*shown)
    else:
        document.add_next_tick_callback(change)
