"""What is to go wrong with the next RunTask, told through the side door."""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

from tests.servers.ecs.answers import Json, Refused


class Fault(StrEnum):
    """The names are what a test says."""

    THROTTLED = "throttled"
    DENIED = "denied"
    REJECTED = "rejected"
    CAPACITY = "capacity"  # 200, no task, failures[]
    MEMORY = "memory"  # the same, with another reason
    EMPTY = "empty"  # 200, no task and no failure
    TIMEOUT = "timeout"  # a 500, and nothing was started
    REPLY_LOST = "reply lost"  # a 500, and the task was started
    NO_START = "no start"  # a task that never starts its container


_ERRORS = {
    Fault.THROTTLED: ("ThrottlingException", "Rate exceeded", 400),
    Fault.DENIED: ("AccessDeniedException", "User is not authorized to perform: ecs:RunTask", 400),
    Fault.REJECTED: ("BlockedException", "Your account has been blocked.", 400),
    Fault.TIMEOUT: ("ServerException", "Service Unavailable. Please try again later.", 500),
}
# docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
_FAILURES = {
    Fault.CAPACITY: "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    Fault.MEMORY: "RESOURCE:MEMORY",
}


class Faults:
    def __init__(self) -> None:
        self._next: deque[Fault] = deque()
        self._lock = threading.Lock()

    def plan(self, kind: str, times: int = 1) -> None:
        """:raises ValueError: no such kind."""
        with self._lock:
            self._next.extend([Fault(kind)] * times)

    def take(self) -> Fault | None:
        with self._lock:
            return self._next.popleft() if self._next else None

    def forget(self) -> None:
        with self._lock:
            self._next.clear()


def before(fault: Fault | None) -> None:
    """:raises Refused: the fault is an answer without an effect."""
    if fault in _ERRORS:
        raise Refused(*_ERRORS[fault])


def instead(fault: Fault | None, cluster_arn: str) -> Json | None:
    """What RunTask answers without starting anything; None: it does start something."""
    if fault in _FAILURES:
        return {"tasks": [], "failures": [{"arn": cluster_arn, "reason": _FAILURES[fault]}]}
    return {"tasks": [], "failures": []} if fault is Fault.EMPTY else None


def after(fault: Fault | None) -> None:
    """:raises Refused: the fault hides what was done."""
    if fault is Fault.REPLY_LOST:
        raise Refused(*_ERRORS[Fault.TIMEOUT])
