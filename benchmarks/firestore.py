"""`python -m benchmarks.firestore`: what the store costs on Firestore, on its emulator, with DESIGN's marks beside it.

Reads, writes and deletes are what Google charges (`dispatcher.testing.firestore_calls`). Times are this machine's, and
the emulator's, which has no composite indexes: it looks through all that waits where the service reads what is due.
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
from typing import Any, cast
from uuid import uuid4

from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from rich.console import Console
from rich.table import Table as Printed

from adapters.stores.firestore import FirestoreStore
from adapters.stores.firestore.database import Database, Write
from adapters.stores.firestore.documents import new_run_fields
from adapters.stores.firestore.names import run_path
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
from dispatcher.testing.dynamodb_units import life
from dispatcher.testing.firestore_calls import Charges, Meter
from dispatcher.testing.servers.firestore import firestore_emulator
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
    costs: dict[str, Charges] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.behind, name)

        def metered(*args: Any, **kwargs: Any) -> Any:
            with self.meter.step() as charges:
                answer = found(*args, **kwargs)
            self.calls[name] += 1
            _add(self.costs.setdefault(name, Charges()), charges)
            return answer

        return metered


def _add(sum_: Charges, charges: Charges) -> None:
    sum_.calls.update(charges.calls)
    sum_.reads += charges.reads
    sum_.writes += charges.writes
    sum_.deletes += charges.deletes


def _total(charges: Iterator[Charges]) -> Charges:
    total = Charges()
    for each in charges:
        _add(total, each)
    return total


class Bench:
    """Databases on one emulator."""

    def client(self) -> Any:
        """Of an empty database."""
        return Client(project=f"bench-{uuid4().hex[:12]}", credentials=AnonymousCredentials(), database="(default)")

    def metered(self) -> tuple[FirestoreStore, Meter, Any]:
        client = self.client()
        return FirestoreStore(client.project, client=client), Meter(client), client


def rows(bench: Bench) -> Iterator[Row]:
    yield from _lives(bench)
    yield from _idle_tick(bench)
    yield from _due_query(bench)
    yield from _pass(bench)


def _lives(bench: Bench) -> Iterator[Row]:
    store, meter, _ = bench.metered()
    told_to: Any = meter
    life(store, told_to, seed=1)  # what is done once a process
    for limits in (1, 2, 3):
        steps = cast("dict[str, Charges]", life(store, told_to, limits=limits, seed=limits + 1))
        total = _total(charges for what, charges in steps.items() if what != "beat")
        told = ", ".join(f"{what} {each.writes + each.deletes}" for what, each in steps.items())
        yield Row(
            f"writes and deletes of a run's life, {limits} limit{'s' * (limits > 1)}",
            f"{total.writes} + {total.deletes}: {told}",
        )
        yield Row("  reads of the store's own in it", f"{total.reads}")
        yield Row("  calls", ", ".join(f"{name} {times}" for name, times in total.calls.items()))


def _idle_tick(bench: Bench) -> Iterator[Row]:
    store, meter, _ = bench.metered()
    metered: Any = Metered(store, meter)
    context = _installed(metered)
    dispatcher = Dispatcher(context)
    dispatcher.tick(until=context.clock.now() + timedelta(minutes=1))
    metered.calls.clear()
    metered.costs.clear()
    _age_the_pulse(context)
    dispatcher.tick(until=context.clock.now() + timedelta(minutes=1))
    dispatcher.close()
    total = _total(iter(metered.costs.values()))
    told = [
        f"{name} x{metered.calls[name]} {cost.reads}r {cost.writes + cost.deletes}w"
        for name, cost in metered.costs.items()
    ]
    yield Row("an idle tick, 1 pool, 1 queue", str(total), "1 write a pool")
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
        store, meter, client = bench.metered()
        for _ in range(DUE):
            store.create_run(make_run())
        _fill(client, stored - DUE)
        look = _a_look(store)
        with meter.step() as charges:
            look()
        milliseconds = statistics.median(timed(look) for _ in range(50)) * 1000
        yield Row(f"due query, {DUE} due of {stored:,} stored", f"{charges.reads} reads, {milliseconds:.1f} ms", "flat")


def _a_look(store: Store) -> Callable[[], object]:
    return lambda: store.due("pool", "default", NOW, limit=100)


def _fill(client: Any, number: int) -> None:
    """Runs that are over, and as many that wait for a far date, as the store would have made them."""
    far = NOW + timedelta(days=365)
    database = Database(client, 60)
    runs = (
        make_run(state=Name.COMPLETED) if n % 2 else make_run(due_at=far + timedelta(seconds=n)) for n in range(number)
    )
    writes = [Write("put", run_path(run.id), new_run_fields(run)) for run in runs]
    for start in range(0, len(writes), 400):
        database.commit(writes[start : start + 400])


def _pass(bench: Bench) -> Iterator[Row]:
    store, meter, _ = bench.metered()
    cloud = Instant()
    context = _installed(store, cloud=cloud)
    for _ in range(ADMITTED):
        flow_runs.create_run(context, DEPLOYMENT, RunForm())
    counting: Any = _Counting(store)
    context = Context(counting, lambda _: cloud, NoWakes(), KeyRing.generate(), WallClock(), "http://127.0.0.1:4280")
    dispatcher = Dispatcher(context)
    with meter.step() as charges:
        took = timed(lambda: dispatcher.tick(until=context.clock.now() + timedelta(minutes=10)))
    dispatcher.close()
    yield Row(f"{len(cloud.submitted):,} due runs admitted in one pass", f"{counting.calls['admit']} commits", "≤ 50")
    yield Row(f"{len(cloud.submitted):,} due runs admitted, submitted and recorded", f"{took:.1f} s, {charges}")


@dataclass(slots=True)
class _Counting:
    behind: Store
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.behind, name)


@contextmanager
def local() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder, firestore_emulator(Path(folder)) as address:
        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        yield Bench()


def main() -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Printed(
        "What", "Measured", "Mark", title="pushpool on the Firestore emulator, on this machine", title_justify="left"
    )
    with local() as bench, console.status("benchmarks.firestore"):
        for row in rows(bench):
            table.add_row(row.what, row.measured, row.mark)
    console.print(table)


if __name__ == "__main__":
    main()
