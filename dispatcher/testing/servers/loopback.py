"""HTTP servers on loopback that answer out of the test's own process."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Silent:
    """For a handler that writes nothing to stderr, and each answer in one piece."""

    wbufsize, disable_nagle_algorithm = -1, True  # else what comes second waits for an acknowledgement, some 40 ms

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the server calls it
        """Nobody reads it."""


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], port: int = 0, *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The URL of a server, without a path, which answers while the block lasts; on a free port if none is given."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
