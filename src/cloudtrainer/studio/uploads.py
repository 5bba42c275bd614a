"""Files sent from the browser, dropped on the page or chosen, to the page's own server."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import panel as pn

from cloudtrainer.studio.look import sentence

_SCRIPT = "uploads.js"


class Uploads:
    """What the parts of a page share to take files from the browser.

    Parameters
    ----------
    to : str
        Path on the server that takes files.

    Attributes
    ----------
    ears : Panel
        What is not seen and must be on the page as long as files are sent, whatever part is open.
    """

    def __init__(self, to: str) -> None:
        self._to = to
        self._code = files("cloudtrainer.studio").joinpath(_SCRIPT).read_text(encoding="utf-8")
        # What the browser has to say comes back as the value of a widget that is not seen.
        self.said = pn.widgets.TextInput(visible=False)
        self._drops = pn.widgets.TextInput(visible=False)
        self.ears = pn.Row(self.said, self._drops, height=0, margin=0)
        self._drops.jscallback(
            value=f"{self._code}\nuploads.takeDrops({json.dumps(to)}, say);",
            args={"said": self.said},
        )

    def button(self, label: str, suffixes: Sequence[str] = (), width: int = 230) -> Any:
        """Return a button that lets files be chosen.

        Parameters
        ----------
        label : str
            What is written on it.
        suffixes : sequence of str
            Extensions that are offered; none: all.
        width : int
            Its width on the screen, px.
        """
        button = pn.widgets.Button(label=label, color="primary", width=width, align="end")
        accept, to = json.dumps(",".join(suffixes)), json.dumps(self._to)
        button.jscallback(
            clicks=f"{self._code}\nuploads.choose({accept}, {to}, say);", args={"said": self.said}
        )
        return button

    def take_drops(self) -> None:
        """Take files that are dropped anywhere on the page, from now on."""
        self._drops.value = "yes"

    def on_message(self, tell: Callable[[str, list[str]], None]) -> None:
        """Call a function after each file.

        It is given, as HTML, what became of the files that were sent together so far, and their
        names.
        """

        def read(event: Any) -> None:
            said, names, _ = json.loads(event.new)
            lines = [
                sentence(str(text), "good" if kind == "good" else "wrong") for kind, text in said
            ]
            tell("".join(lines), [str(name) for name in names])

        self.said.param.watch(read, "value")
