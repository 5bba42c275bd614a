"""Nobody without the token: every request is looked at before any part of the server sees it."""

import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

_REFUSED = (
    "This page needs the address that cloudtrainer printed when it started, with its token. "
    "Copy the whole line from the terminal."
)


class Gate:
    """Lets in who brings the token in the address, or the cookie that was given for it.

    Panel's server has no token of its own; Bokeh's hooks leave out static files and added paths.

    Parameters
    ----------
    port : int
        Port of the server: cookies of one machine are common to all its ports.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self.cookie = f"cloudtrainer_{port}"
        self._given = secrets.token_urlsafe(24)

    def guard(self, application: Application) -> None:
        """Put the gate before an application: pages, files, uploads and websockets."""
        find = application.find_handler

        def find_behind_gate(request: HTTPServerRequest, **more: Any) -> Any:
            if self._is_same(request.query_arguments.get("token", [b""])[-1], self.token):
                return application.get_handler_delegate(request, _LetIn, {"gate": self})
            if self._has_cookie(request):
                return find(request, **more)
            return application.get_handler_delegate(request, _Refuse)

        application.find_handler = find_behind_gate  # type: ignore[method-assign]

    def let_in(self, handler: RequestHandler) -> None:
        """Give the cookie, and the page without the token in its address."""
        # No script can read it, and no other site's page sends it along.
        handler.set_cookie(self.cookie, self._given, httponly=True, samesite="Strict", path="/")
        rest = [
            (name, value) for name, value in parse_qsl(handler.request.query) if name != "token"
        ]
        path = "/" + handler.request.path.lstrip("/\\")
        handler.redirect(path + (f"?{urlencode(rest)}" if rest else ""))

    def _has_cookie(self, request: HTTPServerRequest) -> bool:
        morsel = request.cookies.get(self.cookie)
        return morsel is not None and self._is_same(morsel.value.encode(), self._given)

    @staticmethod
    def _is_same(brought: bytes, wanted: str) -> bool:
        return hmac.compare_digest(brought, wanted.encode())


class _Refuse(RequestHandler):
    async def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        await self.finish(_REFUSED)


class _LetIn(RequestHandler):
    def initialize(self, gate: Gate) -> None:
        self.gate = gate

    async def prepare(self) -> None:
        self.gate.let_in(self)
