"""An address on this machine for an API that is known by another name: a custom domain in front of an HTTP API, say.

Names like `abc.execute-api.localhost` lead nowhere on most machines, and not in a container.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler

from dispatcher.testing.servers.loopback import Silent, serving

_HOP_BY_HOP = frozenset({"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"})


class FrontDoor:
    """Passes requests on to `port` of 127.0.0.1 as for `host`, once it is told both."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.port = 0
        self.host = ""

    def lead_to(self, port: int, host: str) -> None:
        self.port, self.host = port, host


@contextmanager
def front_door() -> Iterator[FrontDoor]:
    """It is open while the block lasts."""
    made: list[FrontDoor] = []

    class Handler(Silent, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else None
            kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            onward = HTTPConnection("127.0.0.1", made[0].port, timeout=60)
            try:
                onward.request(self.command, self.path, body, {**kept, "Host": made[0].host})
                answer = onward.getresponse()
                self._pass_back(answer.status, answer.getheaders(), answer.read())
            finally:
                onward.close()

        do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_GET  # noqa: N815 - http.server calls them so

        def _pass_back(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

    with serving(Handler) as url:
        made.append(FrontDoor(url))
        yield made[0]
