"""Trouble at every step: each call to store and cloud is a place where a dispatcher may die, or hear nothing.

A `Fuse` counts the steps, one before and one after each call, and blows at the one it is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

from dispatcher.errors import StoreUnavailable, Unreachable
from dispatcher.ports import Infrastructure, Outcome, Store, Submission, Unknown

T = TypeVar("T")

STORE_CALLS = frozenset(
    {
        "put", "delete", "put_cursor", "delete_cursor", "create_scheduled", "create_run", "admit", "move",
        "move_each", "beat", "restore_entry", "drop_entry", "delete_run", "purge", "put_outbox", "settle_outbox",
        "spend",
    }
)  # fmt: skip
CLOUD_CALLS = frozenset({"submit", "find", "describe_many", "cancel", "cleanup"})


class DiedError(BaseException):
    """The process is gone. No `except Exception` holds it up."""


Blow: TypeAlias = Callable[["Fuse"], NoReturn]


def died(fuse: Fuse) -> NoReturn:
    """From now on nothing that this process does reaches the store or the cloud, whatever thread does it."""
    fuse.is_dead = True
    raise DiedError


def unheard(fuse: Fuse) -> NoReturn:
    """No answer: before a call, and nothing was done; after it, and it was."""
    call = fuse.steps[-1].rpartition(" ")[2]
    raise (StoreUnavailable if call in STORE_CALLS else Unreachable)(f"{call}: the line was cut")


class Fuse:
    """Blows at step `at`, counted from 0; never, if that is None. `steps` names those that were passed.

    `of`: only steps of that name are counted.
    """

    def __init__(self, at: int | None = None, *, of: str | None = None, blow: Blow = died) -> None:
        self._at, self._of, self._blow = at, of, blow
        self._count = 0
        self._lock = threading.Lock()
        self.steps: list[str] = []
        self.is_dead = False

    def call(self, name: str, function: Callable[[], T]) -> T:
        self._step(f"before {name}")
        result = function()
        self._step(f"after {name}")
        return result

    def _step(self, name: str) -> None:
        with self._lock:
            if self.is_dead:
                raise DiedError
            self.steps.append(name)
            if self._of in (None, name):
                self._count += 1
                if self._count - 1 == self._at:
                    self._blow(self)


class _Fused:
    """Whatever stands behind, with the fuse in its writing calls."""

    def __init__(self, behind: Any, fuse: Fuse, calls: frozenset[str]) -> None:
        self._behind, self._fuse, self._calls = behind, fuse, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        if name not in self._calls:
            return found
        return lambda *args, **kwargs: self._fuse.call(name, lambda: found(*args, **kwargs))


class _FusedCloud(_Fused):
    """A submission that is not answered has an outcome too."""

    def submit(self, submission: Submission) -> Outcome:
        try:
            outcome: Outcome = self._fuse.call("submit", lambda: self._behind.submit(submission))
        except Unreachable as exc:
            return Unknown(str(exc))
        return outcome


def fused_store(store: Store, fuse: Fuse) -> Store:
    return cast("Store", _Fused(store, fuse, STORE_CALLS))


def fused_cloud(cloud: Infrastructure, fuse: Fuse) -> Infrastructure:
    return cast("Infrastructure", _FusedCloud(cloud, fuse, CLOUD_CALLS))
