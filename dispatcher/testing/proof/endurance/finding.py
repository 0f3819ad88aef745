"""What it costs to find runs in a store: by id, by filter, by what is due."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeAlias

from dispatcher.ports import RunFilter, Store
from dispatcher.runs import FlowRun, StateType
from dispatcher.testing.proof.endurance.line import ONCE, POOL

SAMPLES = 100
PAGE = 10  # what is looked for is always there so many times

Look: TypeAlias = Callable[[FlowRun], object]

BY_TAG = "runs of long ago with a tag"
GO_THROUGH = frozenset({BY_TAG})  # no index has a run's tags
COMPLETED = frozenset({StateType.COMPLETED})
_AROUND = timedelta(milliseconds=100)


def costs_of_finding(store: Store, known: Sequence[FlowRun], draw: Random) -> Mapping[str, float]:
    """What is looked for → CPU seconds, the median of many looks around some of the `known` runs."""
    return {what: _median(look, draw.choices(known, k=SAMPLES)) for what, look in _looks(store).items()}


def _looks(store: Store) -> Mapping[str, Look]:
    return {
        "a run by its id": lambda run: store.get_run(run.id),
        "the newest runs": lambda _: store.runs(RunFilter(), limit=PAGE),
        "a deployment's runs": lambda run: store.runs(RunFilter(deployment=run.deployment), limit=PAGE),
        "completed runs of a pool": lambda run: store.runs(RunFilter(pool=run.pool, types=COMPLETED), limit=PAGE),
        "runs with a tag": lambda run: store.runs(RunFilter(tags=frozenset(run.tags)), limit=PAGE),
        "runs of a moment": lambda run: store.runs(
            RunFilter(since=run.scheduled_time - _AROUND, until=run.scheduled_time + _AROUND), limit=PAGE
        ),
        "a deployment's runs of long ago": lambda _: store.runs(RunFilter(deployment=ONCE), limit=PAGE),
        "a queue's runs of long ago": lambda _: store.runs(RunFilter(pool=POOL, queue=ONCE), limit=PAGE),
        BY_TAG: lambda _: store.runs(RunFilter(tags=frozenset({ONCE})), limit=PAGE),
        "runs that are due": lambda run: store.due(run.pool, run.queue, datetime.now(UTC), limit=PAGE),
    }


def _median(look: Look, runs: Sequence[FlowRun]) -> float:
    return statistics.median(_seconds(look, run) for run in runs)


def _seconds(look: Look, run: FlowRun) -> float:
    began = time.thread_time()
    look(run)
    return time.thread_time() - began
