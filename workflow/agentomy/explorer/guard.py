"""Which requests the explorer answers: those of its own page, for paths that exist, and no more than it can serve.

Any web page can send requests to this machine. It can address it by a name of its own (DNS rebinding), and it can send
any number of requests. The headers that a browser adds to a request give such a page away: the host that was asked, the
origin of the page that sent the request, and whether that page is ours.
"""

import ipaddress
import re
import secrets
import socket
from urllib.parse import urlsplit

from bokeh.server.tornado import BokehTornado
from bokeh.server.views.doc_handler import DocHandler
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

PATHS = re.compile(r"/|/ws|/favicon\.ico|/(static|results|docs)(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+\.[a-z0-9]+")
SESSIONS = 32  # pages that are open, or were closed a moment ago
MESSAGE = 2**20  # bytes that a page may send at once; it sends what was clicked, chosen or typed


class Guarded(BokehTornado):
    """The explorer's page behind its guard; `address` is where it listens.

    `origins` are further names by which it may be asked for, in lower case: `host` with any port, or `host:port`.
    """

    def __init__(self, application, address: str, origins: tuple[str, ...] = (), **options):
        self.names = {address.lower(), "localhost", socket.gethostname().lower(), *origins}
        super().__init__(
            {"/": application},
            # find_handler has checked that it is our own
            extra_websocket_origins=["*"],
            websocket_max_message_size_bytes=MESSAGE,
            # only sessions that our own page began; their tokens hold nothing that the browser says about itself
            sign_sessions=True,
            secret_key=secrets.token_bytes(32),
            include_headers=[],
            include_cookies=[],
            **options,
        )

    def find_handler(self, request: HTTPServerRequest, **options):
        headers, host = request.headers, request.host.lower()
        ours = headers.get("Origin", f"http://{host}").lower() in (f"http://{host}", f"https://{host}")
        from_here = headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        followed = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        if not self._is_named(host):
            refused = 403, "Ask for localhost, a number or a name given as --address or --origin"
        elif not ours or not (from_here or followed):
            refused = 403, "Asked by a page from elsewhere"
        elif not PATHS.fullmatch(request.path):
            refused = 404, None
        elif request.path == "/":
            arguments = {"application_context": self.applications["/"], "bokeh_websocket_path": "/ws"}
            return self.get_handler_delegate(request, Page, arguments)
        else:
            return super().find_handler(request, **options)
        return self.get_handler_delegate(request, Refused, dict(zip(("status", "reason"), refused, strict=True)))

    def _is_named(self, host: str) -> bool:
        """Whether a request addresses this machine: by a name that nobody else controls, or by an IP address."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return bool({name, host} & self.names) or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


class Page(DocHandler):
    """The page. A limited number may be open at a time, and none inside another page."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'")

    async def get_session(self):
        if len(self.application_context.sessions) >= SESSIONS:
            raise HTTPError(503, reason="Too many pages of the explorer are open; close some")
        return await super().get_session()


class Refused(RequestHandler):
    def initialize(self, status: int, reason: str | None) -> None:
        self.status, self.reason = status, reason

    def prepare(self) -> None:
        raise HTTPError(self.status, reason=self.reason)
