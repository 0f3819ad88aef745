"""Wakes that a queue carries to who makes the passes: what a message says, and which of them need not be sent."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dispatcher.errors import InvalidInput

LONGEST_DELAY_SECONDS = 900
_REMEMBERED = 1000  # wakes that this process has sent


@dataclass(frozen=True, slots=True)
class Wake:
    """What a message says."""

    pool: str
    hops: int = 0

    def to_text(self) -> str:
        return json.dumps({"pool": self.pool, "hops": self.hops})

    @classmethod
    def parse(cls, text: str) -> Wake:
        """:raises InvalidInput: it is none; says what one looks like."""
        try:
            said = json.loads(text)
            pool, hops = said["pool"], said.get("hops", 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pool, hops = None, 0
        if not isinstance(pool, str) or not pool or not isinstance(hops, int) or isinstance(hops, bool) or hops < 0:
            raise InvalidInput(f'{text[:100]!r} is no wake; one is {{"pool": "NAME", "hops": 0}}')
        return cls(pool, hops)


def machine_time() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """When a wake is to come: `delay` seconds from now, which is when `second` of Unix time is there.

    `is_timed`: somebody named that second; else it is asked for now, and put off so that it comes after others.
    """

    second: int
    delay: int
    is_timed: bool = False


class Collapsing:
    """One wake a pool and second, which comes when that second is over, of all that this process sends.

    What is further off than 15 minutes is left to the tick. Of the immediate wakes of a second the first is due at
    once, the second when that second is over, and further ones not at all.
    """

    def __init__(self, now: Callable[[], datetime] = machine_time) -> None:
        self._now = now
        self._guard = threading.Lock()
        self._sent: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def due(self, pool: str, at: datetime | None) -> Due | None:
        """When it is to be sent for; None if there is no need to."""
        now = self._now().timestamp()
        return self._due_now(pool, now) if at is None or at.timestamp() <= now else self._due_then(pool, at, now)

    def _due_now(self, pool: str, now: float) -> Due | None:
        second = math.floor(now)
        if self._is_first("at once", pool, second):
            return Due(second, 0)
        return Due(second + 1, 1) if self._is_first("after it", pool, second) else None

    def _due_then(self, pool: str, at: datetime, now: float) -> Due | None:
        second = math.ceil(at.timestamp())
        delay = math.ceil(second - now)
        is_near = delay <= LONGEST_DELAY_SECONDS
        return Due(second, delay, is_timed=True) if is_near and self._is_first("then", pool, second) else None

    def _is_first(self, how: str, pool: str, second: int) -> bool:
        key = (how, pool, second)
        with self._guard:
            if key in self._sent:
                return False
            self._sent[key] = None
            if len(self._sent) > _REMEMBERED:
                self._sent.popitem(last=False)
            return True
