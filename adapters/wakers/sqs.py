"""Wakes as messages of an SQS queue, whose receiver makes the passes.

A standard queue delivers a message after its `DelaySeconds`, 15 minutes at most, perhaps twice and in any order
(SendMessage, Amazon SQS API reference); a wake that is lost, late or doubled is harmless.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from adapters import aws
from dispatcher.errors import InvalidInput, Misconfigured

log = logging.getLogger("pushpool")

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
        except (ValueError, KeyError, TypeError, AttributeError):
            pool, hops = None, 0
        if not isinstance(pool, str) or not pool or not isinstance(hops, int) or isinstance(hops, bool) or hops < 0:
            raise InvalidInput(f'{text[:100]!r} is no wake; one is {{"pool": "NAME", "hops": 0}}')
        return cls(pool, hops)


def _machine_time() -> datetime:
    return datetime.now(UTC)


class SqsWaker:
    """Sends one message a pool and second, which comes when that second is over.

    What is further off than a delay reaches is left to the tick. Of the immediate wakes of a second the first is sent
    at once, the second with a delay of one second, and further ones not at all.
    """

    def __init__(self, queue_url: str, *, now: Callable[[], datetime] = _machine_time, client: Any = None) -> None:
        self._queue_url = queue_url
        self._now = now
        self._given = client
        self._guard = threading.Lock()
        self._sent: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        now = self._now().timestamp()
        delay = self._delay_now(pool, now) if at is None or at.timestamp() <= now else self._delay(pool, at, now)
        if delay is not None:
            self._send(Wake(pool, hops), delay)

    def _delay_now(self, pool: str, now: float) -> int | None:
        second = math.floor(now)
        if self._is_first("at once", pool, second):
            return 0
        return 1 if self._is_first("after it", pool, second) else None

    def _delay(self, pool: str, at: datetime, now: float) -> int | None:
        second = math.ceil(at.timestamp())
        delay = math.ceil(second - now)
        return delay if delay <= LONGEST_DELAY_SECONDS and self._is_first("then", pool, second) else None

    def _is_first(self, how: str, pool: str, second: int) -> bool:
        key = (how, pool, second)
        with self._guard:
            if key in self._sent:
                return False
            self._sent[key] = None
            if len(self._sent) > _REMEMBERED:
                self._sent.popitem(last=False)
            return True

    @cached_property
    def _client(self) -> Any:
        return self._given or aws.client("sqs", attempts=3, connect_seconds=2, read_seconds=5)

    def _send(self, wake: Wake, delay: int) -> None:
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=wake.to_text(), DelaySeconds=delay)
        except aws.ERRORS as exc:
            self._lost(wake, str(aws.failure(exc)))
        except Misconfigured as exc:
            self._lost(wake, str(exc))

    def _lost(self, wake: Wake, why: str) -> None:
        log.warning("wake not sent", extra={"pool": wake.pool, "queue": self._queue_url, "why": why})


def open_waker(queue_url: str) -> SqsWaker:
    """`queue_url` as in `sqs:https://sqs.eu-central-1.amazonaws.com/123456789012/pushpool-wakes`."""
    if not queue_url.startswith(("https://", "http://")):
        raise InvalidInput(f"{queue_url!r} is not the URL of a queue; PUSHPOOL_WAKER is sqs:https://…")
    return SqsWaker(queue_url)
