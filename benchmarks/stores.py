"""What the measurements of the clouds' stores share."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

from benchmarks.bench import DEPLOYMENT, POOL, Counting, Instant, Row, context_of, installed, timed
from dispatcher import records
from dispatcher.catalogue import flow_runs
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import RunForm
from dispatcher.ports import Store
from dispatcher.pulses import pulse_of
from dispatcher.runs import FlowRun, Name
from dispatcher.testing.builders import NOW, make_run

ADMITTED = 1000
STORED = (100, 1_000, 10_000)
DUE = 10


def idle_pass(store: Any, forget: Callable[[], object]) -> None:
    """A pass over one pool with one queue a minute after the last; before it `forget` is called."""
    context = installed(store, Instant())
    dispatcher = Dispatcher(context)
    dispatcher.tick(until=context.clock.now() + timedelta(minutes=1))
    _age_the_pulse(store)
    forget()
    dispatcher.tick(until=context.clock.now() + timedelta(minutes=1))
    dispatcher.close()


def _age_the_pulse(store: Store) -> None:
    """As if the last pass had been a minute ago, so that this one leaves its mark."""
    pulse = pulse_of(store, POOL)
    assert pulse.last_pass is not None
    records.write(store, replace(pulse, last_pass=pulse.last_pass - timedelta(minutes=1)))


def over_or_far(number: int) -> Iterator[FlowRun]:
    """Runs that are over, and as many that wait for a far date."""
    far = NOW + timedelta(days=365)
    for n in range(number):
        yield make_run(state=Name.COMPLETED) if n % 2 else make_run(due_at=far + timedelta(seconds=n))


def looking(store: Store) -> Callable[[], object]:
    """The due query, as a pass asks it, of a store that has `DUE` runs which are due."""
    for _ in range(DUE):
        store.create_run(make_run())
    return lambda: store.due("pool", "default", NOW, limit=100)


def looked(stored: int, look: Callable[[], object], charged: str) -> Row:
    milliseconds = statistics.median(timed(look) for _ in range(50)) * 1000
    return Row(f"due query, {DUE} due of {stored:,} stored", f"{charged}, {milliseconds:.1f} ms", "flat")


def big_pass(store: Store, metered: Callable[[], AbstractContextManager[object]] = nullcontext) -> Iterator[Row]:
    """A pass that finds `ADMITTED` runs due. `metered`: what it costs, if that is known."""
    cloud = Instant()
    context = installed(store, cloud)
    for _ in range(ADMITTED):
        flow_runs.create_run(context, DEPLOYMENT, RunForm())
    counting: Any = Counting(store)
    dispatcher = Dispatcher(context_of(counting, cloud))
    with metered() as charged:
        took = timed(lambda: dispatcher.tick(until=context.clock.now() + timedelta(minutes=10)))
    dispatcher.close()
    told = f"{took:.1f} s" if charged is None else f"{took:.1f} s, {charged}"
    yield Row(f"{len(cloud.submitted):,} due runs admitted in one pass", f"{counting.calls['admit']} commits", "≤ 50")
    yield Row(f"{len(cloud.submitted):,} due runs admitted, submitted and recorded", told)
