"""What is to go wrong with the next calls."""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

from dispatcher.testing.servers.modal.refusals import Refused, invalid, unauthenticated, unavailable


class Fault(StrEnum):
    """The names are what a test says."""

    THROTTLED = "throttled"
    PACED = "paced"  # throttled, and the client is told to try again by itself
    LIMIT = "limit"  # as many containers run as the workspace's plan allows
    DENIED = "denied"
    UNAUTHENTICATED = "unauthenticated"
    REJECTED = "rejected"
    TIMEOUT = "timeout"  # UNAVAILABLE, and nothing was done
    INTERNAL = "internal"  # INTERNAL, and nothing was done
    REPLY_LOST = "reply lost"  # UNAVAILABLE, and it was done


REFUSALS = {
    Fault.THROTTLED: Refused("RESOURCE_EXHAUSTED", "Rate limit exceeded. Please try again later."),
    Fault.PACED: Refused("RESOURCE_EXHAUSTED", "Rate limit exceeded. Please try again later.", retry_after=0.1),
    Fault.LIMIT: Refused("RESOURCE_EXHAUSTED", "Workspace has reached its limit of 100 concurrent containers."),
    Fault.DENIED: Refused("PERMISSION_DENIED", "Token does not have write access to environment 'main'."),
    Fault.UNAUTHENTICATED: unauthenticated(),
    Fault.REJECTED: invalid("Sandbox definition is invalid."),
    Fault.TIMEOUT: unavailable(),
    Fault.INTERNAL: Refused("INTERNAL", "Internal error."),
}


class Faults:
    """By the call's name, as in SandboxCreate; a client's own repeats of a call meet with the same again."""

    def __init__(self) -> None:
        self.known: set[str] = set()  # the calls that there are, of either version
        self._next: dict[str, deque[Fault]] = {}
        self._met: dict[str, Fault] = {}
        self._lock = threading.Lock()

    def plan(self, call: str, kind: str, times: int = 1) -> None:
        """:raises ValueError: no such call, or kind."""
        if call not in self.known:
            raise ValueError(f"there is no call {call!r}; there are {', '.join(sorted(self.known))}")
        with self._lock:
            self._next.setdefault(call, deque()).extend([Fault(kind)] * times)

    def take(self, call: str, key: str, *, again: bool) -> Fault | None:
        """`key`: the client's idempotency key. `again`: it tries by itself what it has tried before."""
        with self._lock:
            if again:
                return self._met.get(key)
            self._met.pop(key, None)
            if planned := self._next.get(call):
                self._met[key] = planned.popleft()
            return self._met.get(key)

    def forget(self) -> None:
        with self._lock:
            self._next.clear()
            self._met.clear()


def before(fault: Fault | None) -> None:
    """:raises Refused: the fault is an answer without an effect."""
    if fault is not None and fault in REFUSALS:
        raise REFUSALS[fault]


def after(fault: Fault | None) -> None:
    """:raises Refused: the fault hides what was done."""
    if fault is Fault.REPLY_LOST:
        raise unavailable()
