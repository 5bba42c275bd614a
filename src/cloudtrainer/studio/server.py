"""The page's server: on this machine alone, behind a token."""

import asyncio
import socket
import webbrowser
from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.settings import settings
from panel import reactive
from panel.io.resources import LOCAL_DIST
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClosedError

from cloudtrainer.errors import WorkspaceError
from cloudtrainer.studio.gate import Gate
from cloudtrainer.studio.page import TITLE, make_page
from cloudtrainer.studio.transfer import Results, Upload, Zip
from cloudtrainer.workspace import Workspace

ADDRESS = "127.0.0.1"


def serve(
    workspace: Workspace,
    *,
    port: int = 0,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    workspace : Workspace
        Whose videos, trainings and models it shows.
    port : int
        Port on 127.0.0.1; 0: any that is free.
    open_browser : bool
        Open the page in the browser.
    say : callable
        Told the address.

    Raises
    ------
    WorkspaceError
        The port is taken.
    """
    loop = IOLoop.current()
    loop.asyncio_loop.set_exception_handler(_complain)  # type: ignore[attr-defined]
    server, address = make_server(workspace, port)
    server.start()
    say(f"The Studio is at {address}")
    say("Ctrl-C ends the page; a training or an analysis goes on.")
    if open_browser:
        loop.call_later(0.1, lambda: webbrowser.open(address))
    try:
        loop.start()
    except KeyboardInterrupt:
        say("The page is closed.")
    finally:
        server.stop()


def make_server(workspace: Workspace, port: int) -> tuple[Any, str]:
    """Return the server, not started yet, and the page's address with its token.

    Raises
    ------
    WorkspaceError
        The port is taken.
    """
    # Bokeh's own default is the internet, which the page of a microscope's computer has none of.
    settings.resources = "server"
    # And Panel's is, for the style sheets of what changes while it is not shown.
    reactive.CDN_DIST = LOCAL_DIST
    port = _free_port(port)
    gate = Gate(port)
    folders = {"results": workspace.results, "models": workspace.models}
    server = pn.io.server.get_server(
        {"/": lambda: make_page(workspace)},
        port=port,
        address=ADDRESS,
        title={"/": TITLE},
        websocket_origin=[f"{ADDRESS}:{port}", f"localhost:{port}"],
        show=False,
        start=False,
        extra_patterns=[
            (r"/upload", Upload, {"place": workspace}),
            (r"/results/(.*)", Results, {"path": str(workspace.results.resolve())}),
            (r"/zip/(results|models)/([^/]+)\.zip", Zip, {"parents": folders}),
        ],
    )
    gate.guard(server._tornado)
    return server, f"http://{ADDRESS}:{port}/?token={gate.token}"


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Leave it unsaid that somebody has closed a tab to which something was being sent."""
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _free_port(port: int) -> int:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((ADDRESS, port))
        except OSError as error:
            raise WorkspaceError(
                f"port {port}: cannot be used ({error.strerror}); leave --port out, and a free one "
                "is taken"
            ) from None
        return int(trial.getsockname()[1])
