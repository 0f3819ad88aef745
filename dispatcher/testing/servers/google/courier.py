"""Brings HTTP requests at their time, and again, later each time, as long as they are not taken."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Any
from urllib.parse import urlsplit

Headers = Callable[[int], Mapping[str, str]]  # of a try; the first is 0


@dataclass(frozen=True, slots=True)
class Parcel:
    """`headers` are made anew for each try, so that a token is fresh."""

    name: str
    url: str
    body: bytes
    headers: Headers
    method: str = "POST"
    most_tries: int = 5


@dataclass(frozen=True, slots=True)
class Try:
    """One try to bring a parcel; `status` 0: nobody was there."""

    name: str
    number: int
    status: int


@dataclass(slots=True)
class Courier:
    """`now` tells Unix time; whoever sets it another way calls `look`. `wait_seconds` until the second try, then twice.

    `tries` is what was done, `undelivered` the names of parcels that were given up.
    """

    now: Callable[[], float] = time.time
    wait_seconds: float = 0.05
    tries: list[Try] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    _waiting: list[tuple[float, int, Parcel, int]] = field(default_factory=list)
    _under_way: set[str] = field(default_factory=set)
    _dropped: set[str] = field(default_factory=set)
    _order: Any = field(default_factory=count)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _is_closed: bool = False
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, "courier"))

    def start(self) -> None:
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._threads.shutdown()

    def bring(self, parcel: Parcel, at: float | None = None, *, number: int = 0) -> None:
        with self._changed:
            due = self.now() if at is None else at
            heapq.heappush(self._waiting, (due, next(self._order), parcel, number))
            self._changed.notify_all()

    def look(self) -> None:
        """Look at the clock again."""
        with self._changed:
            self._changed.notify_all()

    def has(self, name: str) -> bool:
        """Whether that parcel is still to be brought, or on its way."""
        with self._changed:
            return name in self._under_way or any(parcel.name == name for _, _, parcel, _ in self._waiting)

    def drop(self, name: str) -> None:
        """It is not brought any more; a try that is under way is its last."""
        with self._changed:
            self._dropped.add(name)
            self._waiting = [each for each in self._waiting if each[2].name != name]
            heapq.heapify(self._waiting)

    def waiting(self) -> dict[str, float]:
        """Names of parcels that are to be brought, and when."""
        with self._changed:
            return {parcel.name: due for due, _, parcel, _ in self._waiting}

    def settled(self, seconds: float = 10) -> bool:
        """Whether, within so many, everything that is due has been brought or given up."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, seconds)

    def _is_idle(self) -> bool:
        is_retrying = any(number for *_, number in self._waiting)
        return not self._under_way and not is_retrying and not (self._waiting and self._waiting[0][0] <= self.now())

    def _run(self) -> None:
        with self._changed:
            while not self._is_closed:
                while self._waiting and self._waiting[0][0] <= self.now():
                    _, _, parcel, number = heapq.heappop(self._waiting)
                    self._under_way.add(parcel.name)
                    self._threads.submit(self._try, parcel, number)
                left = self._waiting[0][0] - self.now() if self._waiting else None
                self._changed.wait(left if left is None else max(left, 0.0))

    def _try(self, parcel: Parcel, number: int) -> None:
        status = _sent(parcel, number)
        with self._changed:
            self.tries.append(Try(parcel.name, number, status))
            self._under_way.discard(parcel.name)
            if not 200 <= status < 300:
                is_wanted = not self._is_closed and parcel.name not in self._dropped
                if is_wanted and number + 1 < parcel.most_tries:
                    self.bring(parcel, self.now() + self.wait_seconds * 2**number, number=number + 1)
                else:
                    self.undelivered.append(parcel.name)
            self._changed.notify_all()


def _sent(parcel: Parcel, number: int) -> int:
    where = urlsplit(parcel.url)
    path = f"{where.path or '/'}?{where.query}" if where.query else where.path or "/"
    connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=30)
    try:
        connection.request(parcel.method, path, parcel.body, dict(parcel.headers(number)))
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()
