"""The figures that matter, gathered from the log and printed once an invocation; how, the host says.

Only what is there is printed: clouds charge for a metric by when, or how often, it has values.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from dispatcher.logs import log

_COUNTED: Mapping[str, str] = {
    "run admitted": "Admitted",
    "tick made": "Ticks",
    "pass failed": "PassesFailed",
    "preparation failed": "PassesFailed",
    "wake not sent": "WakesLost",
}
_OUTCOMES: Mapping[str, str] = {
    "Accepted": "Submitted",
    "NotNow": "NotNow",
    "PoolUnavailable": "PoolUnavailable",
    "Rejected": "Rejected",
    "Unknown": "Unknown",
}
_ENDED: Mapping[str, str] = {
    "Completed": "Completed",
    "Failed": "Failed",
    "TimedOut": "Failed",
    "Crashed": "Crashed",
    "Cancelled": "Cancelled",
}
_OF_A_POOL: Mapping[str, str] = {"active": "SlotsInUse", "late": "Late", "overdue_seconds": "OldestOverdueSeconds"}


class Figures(logging.Handler, ABC):
    """Turns what is logged into figures of one installation; those of a pool carry its name."""

    MOST_VALUES: ClassVar[int]  # of one figure in one line

    def __init__(self, installation: str) -> None:
        super().__init__(logging.DEBUG)
        self.installation = installation
        self._values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._in_use = 0

    @contextmanager
    def printed(self) -> Iterator[None]:
        """What is logged while the block lasts is printed when it ends, however it ends; by several threads at once.

        A line then has what all of them logged so far.
        """
        self._used_by(+1)
        try:
            yield
        finally:
            self._used_by(-1)
            for line in self.lines(time.time()):
                print(line, flush=True)  # noqa: T201 - a function's standard output is its log

    def _used_by(self, more: int) -> None:
        self.acquire()
        try:
            self._in_use += more
            if self._in_use:
                log.addHandler(self)
            else:
                log.removeHandler(self)
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        for pool, name, value in _of(record.getMessage(), record.levelno, record.__dict__):
            self._values[pool, name].append(value)

    def lines(self, now: float) -> Iterator[str]:
        """One a pool, or more; what was gathered is then gone."""
        self.acquire()
        gathered, self._values = self._values, defaultdict(list)
        self.release()
        for pool in dict.fromkeys(pool for pool, _ in gathered):
            values = {name: _told(name, found) for (of, name), found in gathered.items() if of == pool}
            for start in range(0, max(map(len, values.values())), self.MOST_VALUES):
                end = start + self.MOST_VALUES
                yield self.line(pool, {name: some for name, found in values.items() if (some := found[start:end])}, now)

    @abstractmethod
    def line(self, pool: str, values: Mapping[str, list[float]], now: float) -> str:
        """What is printed of `pool`, or of the installation if that is nothing."""


def is_count(name: str) -> bool:
    """Whether a figure is counted, and so has one value; the others are measured, each time anew."""
    return not name.endswith("Seconds") and name not in _OF_A_POOL.values()


def _told(name: str, found: list[float]) -> list[float]:
    """Counts as one value, their sum; what was measured as it was."""
    return [sum(found)] if is_count(name) else found


def _of(what: str, level: int, extra: Mapping[str, object]) -> Iterator[tuple[str, str, float]]:
    """(pool or nothing, figure, value) of one line of the log."""
    if level >= logging.ERROR:
        yield "", "Errors", 1
    if what in _COUNTED:
        yield "", _COUNTED[what], 1
    elif what == "run submitted":
        yield "", _OUTCOMES[str(extra["outcome"])], 1
        yield "", "SubmissionLagSeconds", float(str(extra["lag_seconds"]))
    elif what in ("run moved", "run reconciled") and (state := str(extra["state"])) in _ENDED:
        yield "", _ENDED[state], 1
    elif what in ("pass made", "runs late"):
        pool = str(extra["pool"])
        yield from ((pool, name, float(str(extra[key]))) for key, name in _OF_A_POOL.items() if extra.get(key))
