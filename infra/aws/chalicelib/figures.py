"""The figures that matter, as CloudWatch embedded metrics: gathered from the log, printed once an invocation.

Only what is there is printed: CloudWatch charges for a metric by the hours in which it has values.
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dispatcher.logs import log

NAMESPACE = "pushpool"
MOST_VALUES = 100  # in one metric of one line (CloudWatch embedded metric format specification)

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


class Figures(logging.Handler):
    """Turns what is logged into metrics of one installation; those of a pool carry its name."""

    def __init__(self, installation: str) -> None:
        super().__init__(logging.DEBUG)
        self._installation = installation
        self._values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    @contextmanager
    def printed(self) -> Iterator[None]:
        """What is logged while the block lasts is printed when it ends, however it ends."""
        log.addHandler(self)
        try:
            yield
        finally:
            log.removeHandler(self)
            for line in self.lines(time.time()):
                print(line, flush=True)  # noqa: T201 - a Lambda's standard output is its log

    def emit(self, record: logging.LogRecord) -> None:
        for pool, name, value in _of(record.getMessage(), record.levelno, record.__dict__):
            self._values[pool, name].append(value)

    def lines(self, now: float) -> Iterator[str]:
        """One a set of dimensions; what was gathered is then gone."""
        gathered, self._values = self._values, defaultdict(list)
        for pool in dict.fromkeys(pool for pool, _ in gathered):
            values = {name: _told(name, found) for (of, name), found in gathered.items() if of == pool}
            for start in range(0, max(map(len, values.values())), MOST_VALUES):
                part = {name: some for name, found in values.items() if (some := found[start : start + MOST_VALUES])}
                yield self._line(pool, part, now)

    def _line(self, pool: str, values: Mapping[str, list[float]], now: float) -> str:
        named = {"Installation": self._installation, **({"Pool": pool} if pool else {})}
        metrics = [{"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"} for name in values]
        about = {"Namespace": NAMESPACE, "Dimensions": [list(named)], "Metrics": metrics}
        said = {name: found[0] if _is_count(name) else found for name, found in values.items()}
        return json.dumps({"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [about]}, **named, **said})


def _is_count(name: str) -> bool:
    return not name.endswith("Seconds") and name not in _OF_A_POOL.values()


def _told(name: str, found: list[float]) -> list[float]:
    """Counts as one value, their sum; what was measured as it was."""
    return [sum(found)] if _is_count(name) else found


def _of(what: str, level: int, extra: Mapping[str, object]) -> Iterator[tuple[str, str, float]]:
    """(pool or nothing, metric, value) of one line of the log."""
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
