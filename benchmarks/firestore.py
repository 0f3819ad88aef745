"""`python -m benchmarks.firestore`: what the store costs on Firestore, on its emulator, with DESIGN's marks beside it.

Reads, writes and deletes are what Google charges (`dispatcher.testing.firestore_calls`). Times are this machine's, and
the emulator's, which has no composite indexes: it looks through all that waits where the service reads what is due.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client

from adapters.stores.firestore import FirestoreStore
from adapters.stores.firestore.database import Database, Write
from adapters.stores.firestore.documents import new_run_fields
from adapters.stores.firestore.names import run_path
from benchmarks.bench import Row, shown
from benchmarks.stores import DUE, STORED, big_pass, idle_pass, looked, looking, over_or_far
from dispatcher.ports import Store
from dispatcher.testing.firestore_calls import Charges, Meter
from dispatcher.testing.lives import life
from dispatcher.testing.servers.firestore import firestore_emulator


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

    def forget(self) -> None:
        self.calls.clear()
        self.costs.clear()


def _add(sum_: Charges, charges: Charges) -> None:
    sum_.calls.update(charges.calls)
    sum_.reads += charges.reads
    sum_.writes += charges.writes
    sum_.deletes += charges.deletes


def _total(charges: Iterable[Charges]) -> Charges:
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
    store, meter, _ = bench.metered()
    yield from big_pass(store, meter.step)


def _lives(bench: Bench) -> Iterator[Row]:
    store, meter, _ = bench.metered()
    life(store, meter, seed=1)  # what is done once a process
    for limits in (1, 2, 3):
        steps = life(store, meter, limits=limits, seed=limits + 1)
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
    metered = Metered(store, meter)
    idle_pass(metered, metered.forget)
    total = _total(metered.costs.values())
    told = [
        f"{name} x{metered.calls[name]} {cost.reads}r {cost.writes + cost.deletes}w"
        for name, cost in metered.costs.items()
    ]
    yield Row("an idle tick, 1 pool, 1 queue", str(total), "1 write a pool")
    yield Row("  of it, each method", ", ".join(told))


def _due_query(bench: Bench) -> Iterator[Row]:
    for stored in STORED:
        store, meter, client = bench.metered()
        look = looking(store)
        _fill(client, stored - DUE)
        with meter.step() as charges:
            look()
        yield looked(stored, look, f"{charges.reads} reads")


def _fill(client: Any, number: int) -> None:
    """As the store would have made them."""
    database = Database(client, 60)
    writes = [Write("put", run_path(run.id), new_run_fields(run)) for run in over_or_far(number)]
    for start in range(0, len(writes), 400):
        database.commit(writes[start : start + 400])


@contextmanager
def local() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder, firestore_emulator(Path(folder)) as address:
        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        yield Bench()


def main() -> None:
    with local() as bench:
        shown("pushpool on the Firestore emulator", rows(bench))


if __name__ == "__main__":
    main()
