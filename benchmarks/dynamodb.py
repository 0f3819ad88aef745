"""`python -m benchmarks.dynamodb`: what the store costs on DynamoDB, on DynamoDB Local, with DESIGN's marks beside it.

Units are those that AWS charges (`dispatcher.testing.dynamodb_units` says how they are told); times are this machine's.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Printed

from adapters import aws
from adapters.stores.dynamodb import DynamoStore
from adapters.stores.dynamodb.calls import Table
from adapters.stores.dynamodb.documents import parts_of, written
from adapters.stores.dynamodb.table import create_table
from benchmarks.bench import DEPLOYMENT, POOL, TEMPLATE, Instant, NoWakes, Row, timed
from dispatcher import records
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.queues import put_queue
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import Store
from dispatcher.pulses import pulse_of
from dispatcher.runs import Name
from dispatcher.testing.builders import NOW, make_run
from dispatcher.testing.dynamodb_units import Meter, life
from dispatcher.testing.servers.dynamodb_local import ENVIRONMENT, dynamodb_local
from dispatcher.tokens import KeyRing
from dispatcher.wiring import WallClock

ADMITTED = 1000
STORED = (100, 1_000, 10_000)
DUE = 10


@dataclass(slots=True)
class Metered:
    """A store, and what each of its methods has cost, one call at a time."""

    behind: Store
    meter: Meter
    calls: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.behind, name)

        def metered(*args: Any, **kwargs: Any) -> Any:
            before = (self.meter.now.reads, self.meter.now.writes)
            answer = found(*args, **kwargs)
            self.calls[name] += 1
            self.reads[name] += self.meter.now.reads - before[0]  # type: ignore[assignment]  # halves, too
            self.writes[name] += self.meter.now.writes - before[1]  # type: ignore[assignment]
            return answer

        return metered


@dataclass(slots=True)
class Bench:
    """Tables on one DynamoDB Local."""

    made: int = 0

    def table(self) -> str:
        self.made += 1
        name = f"bench-{self.made}"
        create_table(aws.client("dynamodb"), name, expiry=False)
        return name

    def metered(self, table: str = "") -> tuple[DynamoStore, Meter]:
        client, beside = aws.client("dynamodb", connections=40), aws.client("dynamodb")
        meter = Meter(client, beside=beside, table=self.table())
        return DynamoStore(table or self.table(), client=client), meter


def rows(bench: Bench) -> Iterator[Row]:
    yield from _lives(bench)
    yield from _idle_tick(bench)
    yield from _due_query(bench)
    yield from _pass(bench)


def _lives(bench: Bench) -> Iterator[Row]:
    store, meter = bench.metered()
    life(store, meter, seed=1)  # what is done once a process
    for limits in (1, 2, 3):
        steps = life(store, meter, limits=limits, seed=limits + 1)
        total = sum(units.writes for what, units in steps.items() if what != "beat")
        told = ", ".join(f"{what} {units.writes:g}" for what, units in steps.items())
        mark = f"≤ {14 + 4 * limits}"
        yield Row(f"write units of a run's life, 1 KB, {limits} limit{'s' * (limits > 1)}", f"{total:g}: {told}", mark)
        read = sum(units.reads for what, units in steps.items() if what != "beat")
        yield Row("  read units of the store's own in it", f"{read:g}")


def _idle_tick(bench: Bench) -> Iterator[Row]:
    store, meter = bench.metered()
    metered: Any = Metered(store, meter)
    context = _installed(metered)
    dispatcher = Dispatcher(context)
    dispatcher.tick(until=context.clock.now() + timedelta(minutes=1))
    for tally in (metered.calls, metered.reads, metered.writes):
        tally.clear()
    _age_the_pulse(context)
    with meter.step() as units:
        dispatcher.tick(until=context.clock.now() + timedelta(minutes=1))
    dispatcher.close()
    told = [
        f"{name} x{metered.calls[name]} {metered.reads[name]:g}r {metered.writes[name]:g}w" for name in metered.calls
    ]
    yield Row("an idle tick, 1 pool, 1 queue", f"{units.reads:g} reads, {units.writes:g} writes", "1 write a pool")
    yield Row("  of it, each method", ", ".join(told))


def _age_the_pulse(context: Context) -> None:
    """As if the last pass had been a minute ago, so that this one leaves its mark."""
    behind: Store = context.store.behind  # type: ignore[attr-defined]
    pulse = pulse_of(behind, POOL)
    assert pulse.last_pass is not None
    records.write(behind, replace(pulse, last_pass=pulse.last_pass - timedelta(minutes=1)))


def _installed(store: Store, *, cloud: Instant | None = None) -> Context:
    cloud = cloud or Instant()
    context = Context(store, lambda _: cloud, NoWakes(), KeyRing.generate(), WallClock(), "http://127.0.0.1:4280")
    now = context.clock.now()
    records.write(store, WorkPool(name=POOL, type="instant", created=now, updated=now, base_job_template=TEMPLATE))
    put_queue(context, POOL, "default", WorkQueueForm())
    deployments.put_deployment(context, DEPLOYMENT, DeploymentForm(pool=POOL))
    return context


def _due_query(bench: Bench) -> Iterator[Row]:
    for stored in STORED:
        table = bench.table()
        store, meter = bench.metered(table)
        for _ in range(DUE):
            store.create_run(make_run())
        _fill(table, stored - DUE)
        look = _a_look(store)
        with meter.step() as units:
            look()
        milliseconds = statistics.median(timed(look) for _ in range(50)) * 1000
        yield Row(
            f"due query, {DUE} due of {stored:,} stored", f"{units.reads:g} read units, {milliseconds:.1f} ms", "flat"
        )


def _a_look(store: Store) -> Callable[[], object]:
    return lambda: store.due("pool", "default", NOW, limit=100)


def _fill(table: str, number: int) -> None:
    """Runs that are over, and as many that wait for a far date, as the store would have made them."""
    far = NOW + timedelta(days=365)
    some = []
    for n in range(number):
        run = make_run(state=Name.COMPLETED) if n % 2 else make_run(due_at=far + timedelta(seconds=n))
        parts = parts_of(run)
        some += [written(run).hot_item(parts), *parts.items]
    Table(table, 60, aws.client("dynamodb")).put_all(some)


def _pass(bench: Bench) -> Iterator[Row]:
    store: Store = DynamoStore(bench.table())
    cloud = Instant()
    context = _installed(store, cloud=cloud)
    for _ in range(ADMITTED):
        flow_runs.create_run(context, DEPLOYMENT, RunForm())
    counting: Any = _Counting(store)
    context = Context(counting, lambda _: cloud, NoWakes(), KeyRing.generate(), WallClock(), "http://127.0.0.1:4280")
    dispatcher = Dispatcher(context)
    took = timed(lambda: dispatcher.tick(until=context.clock.now() + timedelta(minutes=10)))
    dispatcher.close()
    yield Row(f"{len(cloud.submitted):,} due runs admitted in one pass", f"{counting.calls['admit']} commits", "≤ 50")
    yield Row(f"{len(cloud.submitted):,} due runs admitted, submitted and recorded", f"{took:.1f} s")


@dataclass(slots=True)
class _Counting:
    behind: Store
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.behind, name)


@contextmanager
def local() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder, dynamodb_local(Path(folder)) as endpoint:
        os.environ.update({**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": endpoint})
        yield Bench()


def main() -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Printed(
        "What", "Measured", "Mark", title="pushpool on DynamoDB Local, on this machine", title_justify="left"
    )
    with local() as bench, console.status("benchmarks.dynamodb"):
        for row in rows(bench):
            table.add_row(row.what, row.measured, row.mark)
    console.print(table)


if __name__ == "__main__":
    main()
