"""The figures that matter, as Prometheus text: computed when asked for, nothing is kept for them.

Left to the log, whose lines one can count: runs by outcome, submissions, their latency, throttles. No store keeps
such totals, and counting what is stored would cost a read for each run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dispatcher import records
from dispatcher.context import Context
from dispatcher.http.calls import Call
from dispatcher.http.messages import Reply
from dispatcher.pools import WorkPool
from dispatcher.pulses import pulse_of
from dispatcher.runs import LATE_AFTER

COUNTED = 1000  # of each queue; more reads as this
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Figures:
    """What is known of a pool."""

    pool: str
    limit: int | None
    active: int
    circuit_open: bool
    parked: int
    waiting: dict[str, int] = field(default_factory=dict)  # queue → due or overdue, not parked
    late: dict[str, int] = field(default_factory=dict)
    overdue_seconds: float = 0.0


def show_metrics(call: Call) -> Reply:
    pools = [pool for pool in records.each(call.context.store, WorkPool) if not pool.deleted]
    figures = [_figures(call.context, pool) for pool in pools]
    text = "\n".join(line for metric in METRICS for line in metric.lines(figures))
    return Reply(text=f"{text}\n".encode(), media_type=MEDIA_TYPE)


def _figures(context: Context, pool: WorkPool) -> Figures:
    store, now = context.store, context.clock.now()
    found = Figures(
        pool=pool.name,
        limit=pool.concurrency_limit,
        active=len(store.active(pool.name)),
        circuit_open=pulse_of(store, pool.name).circuit is not None,
        parked=sum(len(store.parked_runs(pool.name, each, limit=COUNTED)) for each in store.parked(pool.name)),
    )
    due_at = []
    for queue in records.queues_of(store, pool.name):
        due = store.due(pool.name, queue.name, now, limit=COUNTED).items
        found.waiting[queue.name] = len(due)
        found.late[queue.name] = sum(now - each.due_at > LATE_AFTER for each in due)
        due_at += [each.due_at for each in due[:1]]
    found.overdue_seconds = (now - min(due_at)).total_seconds() if due_at else 0.0
    return found


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of each pool, or of each queue of it."""

    name: str
    help: str
    samples: Callable[[Figures], Iterator[tuple[str, float]]]

    def lines(self, figures: list[Figures]) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for each in figures:
            for labels, value in self.samples(each):
                yield f"{self.name}{{{labels}}} {value:g}"


def _of_pool(value: Callable[[Figures], float | None]) -> Callable[[Figures], Iterator[tuple[str, float]]]:
    def samples(figures: Figures) -> Iterator[tuple[str, float]]:
        if (found := value(figures)) is not None:
            yield f'work_pool="{figures.pool}"', found

    return samples


def _of_queues(
    values: Callable[[Figures], dict[str, int]],
) -> Callable[[Figures], Iterator[tuple[str, float]]]:
    def samples(figures: Figures) -> Iterator[tuple[str, float]]:
        for queue, found in values(figures).items():
            yield f'work_pool="{figures.pool}",work_queue="{queue}"', found

    return samples


METRICS = (
    Metric("pushpool_slots_in_use", "Runs that hold a slot of the pool.", _of_pool(lambda f: f.active)),
    Metric("pushpool_slots_limit", "The pool's limit; absent if it has none.", _of_pool(lambda f: f.limit)),
    Metric(
        "pushpool_runs_waiting",
        f"Runs that are due and not admitted, up to {COUNTED}.",
        _of_queues(lambda f: f.waiting),
    ),
    Metric(
        "pushpool_runs_late",
        f"Those over 15 seconds past due, up to {COUNTED}.",
        _of_queues(lambda f: f.late),
    ),
    Metric(
        "pushpool_runs_parked",
        f"Runs that wait for a slot of their deployment, up to {COUNTED} of each.",
        _of_pool(lambda f: f.parked),
    ),
    Metric(
        "pushpool_oldest_overdue_seconds",
        "How long the oldest of them has been due.",
        _of_pool(lambda f: f.overdue_seconds),
    ),
    Metric(
        "pushpool_circuit_open",
        "1 if the pool is unavailable and submits nothing.",
        _of_pool(lambda f: float(f.circuit_open)),
    ),
)
