"""In place of a function: takes pushes, notes them, and answers as it is told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from dispatcher.testing.servers.loopback import Silent, serving


@dataclass(frozen=True, slots=True)
class Heard:
    """A request; header names in lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """`answers`: the statuses of the next answers; 204 when there is none left. `then` is called with each request."""

    url: str
    then: Callable[[Heard], None] | None = None
    heard: list[Heard] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float = 10) -> list[Heard]:
        """What was heard, once that is so many requests, or when waiting for them is no use any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.heard) >= count, seconds)
            return list(self.heard)

    def take(self, heard: Heard) -> int:
        """The status of the answer."""
        if self.then is not None:
            self.then(heard)
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()
            return self.answers.popleft() if self.answers else 204


@contextmanager
def receiver(then: Callable[[Heard], None] | None = None) -> Iterator[Receiver]:
    """It listens while the block lasts."""
    made: list[Receiver] = []

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status = made[0].take(Heard({name.lower(): said for name, said in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

    with serving(Handler) as url:
        made.append(Receiver(f"{url}/", then))
        yield made[0]
