"""The API served on this machine: waitress in a thread, on loopback unless told otherwise.

Invariant: one installation serves a port once; who comes second is told that it is served already.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import logging
import os
import socket
import threading
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from waitress import channel, create_server, task, wasyncore  # type: ignore[import-untyped]

from dispatcher.errors import Misconfigured, PushpoolError
from dispatcher.http import problems
from dispatcher.http.api import Api
from dispatcher.http.handlers.installation import installation_of
from dispatcher.http.messages import Problem
from dispatcher.http.wsgi import application
from dispatcher.logs import log

THREADS = 8
# Far over the API's own limit, which can so be told in an answer that a client still sending will read.
MOST_BODY_BYTES = 32 * 1024 * 1024
LONGEST_SLEEP_SECONDS = 30.0
PROBE_SECONDS = 5.0


class AlreadyServed(PushpoolError):
    """Another process serves this installation on that port."""


class LocalServer:
    """`api` on `host` and `port`; 0 takes a free one."""

    def __init__(self, api: Api, host: str, port: int) -> None:
        self._api, self._host = api, host
        self.port = port  # the one in use, once it is started
        self._map: dict[int, Any] = {}
        self._stopping = threading.Event()
        self._server: Any = None
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{_bracketed(self._host)}:{self.port}"

    def start(self) -> None:
        """:raises AlreadyServed: by another process. :raises Misconfigured: the port or address cannot be had."""
        bound = self._bound()
        self.port = bound.getsockname()[1]
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every second request at once
        self._server = create_server(
            application(self._api),
            map=self._map,
            sockets=[bound],
            threads=THREADS,
            ident=None,
            max_request_header_size=65_536,
            max_request_body_size=MOST_BODY_BYTES,
            clear_untrusted_proxy_headers=True,
        )
        self._server.channel_class = _Channel
        if not _is_loopback(self._host):
            log.warning("the API can be reached from other machines", extra={"host": self._host})
        self._thread.start()

    def stop(self) -> None:
        """What is being answered is answered; nothing new is taken."""
        if self._server is None or self._stopping.is_set():
            return
        self._stopping.set()
        self._server.pull_trigger()
        self._thread.join()
        wasyncore.close_all(self._map, ignore_all=True)  # not in that thread: it would take the trigger from under us

    def _serve(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(LONGEST_SLEEP_SECONDS, use_poll=True, map=self._map, count=1)
        self._server.accepting = False
        self._server.task_dispatcher.shutdown()
        wasyncore.loop(0, use_poll=True, map=self._map, count=10)  # what the threads could not send themselves

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, self.port), family=family, backlog=1024)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE and self._is_ours():
                raise AlreadyServed(f"{self.url} is served by another pushpool of this installation") from exc
            why = "is taken by something else" if exc.errno == errno.EADDRINUSE else _reason(exc)
            way_out = "choose another with --port or PUSHPOOL_PORT"
            raise Misconfigured(f"port {self.port} of {self._host} {why}; {way_out}") from exc

    def _is_ours(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - who listens on all
        wire = HTTPConnection(host, self.port, timeout=PROBE_SECONDS)
        with closing(wire), suppress(OSError, HTTPException, ValueError, AttributeError):
            wire.request("GET", "/v1/health")
            said = json.loads(wire.getresponse().read(65_536))
            return bool(said.get("installation") == installation_of(self._api.context.store))
        return False


def _reason(error: OSError) -> str:
    return f"cannot be had ({os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror})"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class _ErrorTask(task.ErrorTask):  # type: ignore[misc]  # waitress has no types
    """What waitress refuses by itself is a problem like any other."""

    def execute(self) -> None:
        refused: Any = self
        error = refused.request.error
        response = problems.reply(Problem(error.code, str(error.body))).response()
        self.status = f"{error.code} {error.reason}"
        refused.response_headers.extend(response.headers.items())
        self.set_close_on_finish()
        self.content_length = len(response.body)
        self.write(response.body)


class _Channel(channel.HTTPChannel):  # type: ignore[misc]  # waitress has no types
    error_task_class = _ErrorTask
