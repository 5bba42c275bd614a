"""A button that sends files from the browser, as a stream, to the page's own server."""

from collections.abc import Callable
from typing import Any

import panel as pn

# A file is sent as it lies on the disk: browser and server take it piece by piece.
_SEND = """
const send = (files) => {
  const queue = Array.from(files);
  const failed = [];
  const next = () => {
    const file = queue.shift();
    if (!file) { return; }
    const request = new XMLHttpRequest();
    const tell = (kind, text) => { said.value = JSON.stringify([kind, text, Date.now()]); };
    request.upload.onprogress = (event) => {
      button.label = `Sending ${Math.round(100 * event.loaded / Math.max(1, event.total))} %`;
    };
    request.onload = () => {
      button.label = label;
      if (request.status != 200) { failed.push(request.responseText); }
      tell(failed.length ? 'wrong' : 'good',
           failed.length ? failed.join('\\n') : request.responseText);
      next();
    };
    request.onerror = () => {
      button.label = label;
      failed.push(file.name + ': the connection broke off, nothing was kept; send it again');
      tell('wrong', failed.join('\\n'));
      next();
    };
    request.open('POST', to + '?name=' + encodeURIComponent(file.name));
    request.setRequestHeader('X-Cloudtrainer', 'upload');
    request.send(file);
  };
  next();
};
const input = document.createElement('input');
input.type = 'file';
input.multiple = true;
input.id = 'cloudtrainer-files';
input.style.display = 'none';
document.getElementById('cloudtrainer-files')?.remove();
document.body.appendChild(input);
input.onchange = () => { send(input.files); input.remove(); };
input.click();
"""


class UploadButton:
    """The button.

    Parameters
    ----------
    to : str
        Path on the server that takes files.
    """

    def __init__(self, to: str) -> None:
        label = "Send files from this computer"
        self.button = pn.widgets.Button(label=label, color="primary", width=230, align="end")
        # What the browser has to say comes back as the value of a widget that is not seen.
        self.said = pn.widgets.TextInput(visible=False)
        self.view = pn.Row(self.button, self.said, margin=0, align="end")
        self.button.jscallback(
            clicks=f"const to = {to!r}; const label = {label!r};\n{_SEND}",
            args={"button": self.button, "said": self.said},
        )

    def on_message(self, tell: Callable[[str, str], None]) -> None:
        """Call a function with a sentence, and "good" or "wrong", after each file."""
        import json

        def read(event: Any) -> None:
            kind, text, _ = json.loads(event.new)
            tell(str(text), "good" if kind == "good" else "wrong")

        self.said.param.watch(read, "value")
