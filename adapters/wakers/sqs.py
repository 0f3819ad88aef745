"""Wakes as messages of an SQS queue, whose receiver makes the passes.

A standard queue delivers a message after its `DelaySeconds`, 15 minutes at most, perhaps twice and in any order
(SendMessage, Amazon SQS API reference); a wake that is lost, late or doubled is harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from adapters import aws
from adapters.wakes import Collapsing, Wake, machine_time
from dispatcher.errors import InvalidInput, Misconfigured

log = logging.getLogger("pushpool")


class SqsWaker:
    """Sends one message a pool and second, which comes when that second is over."""

    def __init__(self, queue_url: str, *, now: Callable[[], datetime] = machine_time, client: Any = None) -> None:
        self._queue_url = queue_url
        self._collapsing = Collapsing(now)
        self._given = client

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        due = self._collapsing.due(pool, at)
        if due is not None:
            self._send(Wake(pool, hops), due.delay)

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
