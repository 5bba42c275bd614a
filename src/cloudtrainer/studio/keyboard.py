"""The page by the keyboard alone: what the browser does not do by itself."""

from importlib.resources import files
from typing import Any

import panel as pn

_SCRIPT = "keyboard.js"


class Keyboard:
    """Parts that are opened by Enter, and rows of a list that are chosen by the arrows.

    Attributes
    ----------
    ears : Panel
        What is not seen and must be on the page.
    """

    def __init__(self) -> None:
        code = files("cloudtrainer.studio").joinpath(_SCRIPT).read_text(encoding="utf-8")
        self._begun = pn.widgets.TextInput(visible=False)
        self._begun.jscallback(value=code)
        self.ears: Any = pn.Row(self._begun, height=0, margin=0)

    def begin(self) -> None:
        """Listen from now on."""
        self._begun.value = "yes"
