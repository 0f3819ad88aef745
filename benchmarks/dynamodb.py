"""`python -m benchmarks.dynamodb`: what the store costs on DynamoDB, on DynamoDB Local, with DESIGN's marks beside it.

Units are those that AWS charges (`dispatcher.testing.dynamodb_units` says how they are told); times are this machine's.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters import aws
from adapters.stores.dynamodb import DynamoStore
from adapters.stores.dynamodb.calls import Table
from adapters.stores.dynamodb.documents import parts_of, written
from adapters.stores.dynamodb.table import create_table
from benchmarks.bench import Row, shown
from benchmarks.stores import DUE, STORED, big_pass, idle_pass, looked, looking, over_or_far
from dispatcher.ports import Store
from dispatcher.testing.dynamodb_units import Meter
from dispatcher.testing.lives import life
from dispatcher.testing.servers.dynamodb_local import ENVIRONMENT, dynamodb_local


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

    def forget(self) -> None:
        for tally in (self.calls, self.reads, self.writes):
            tally.clear()


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
    yield from big_pass(DynamoStore(bench.table()))


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
    metered = Metered(*bench.metered())
    idle_pass(metered, metered.forget)
    told = [
        f"{name} x{metered.calls[name]} {metered.reads[name]:g}r {metered.writes[name]:g}w" for name in metered.calls
    ]
    total = f"{sum(metered.reads.values()):g} reads, {sum(metered.writes.values()):g} writes"
    yield Row("an idle tick, 1 pool, 1 queue", total, "1 write a pool")
    yield Row("  of it, each method", ", ".join(told))


def _due_query(bench: Bench) -> Iterator[Row]:
    for stored in STORED:
        table = bench.table()
        store, meter = bench.metered(table)
        look = looking(store)
        _fill(table, stored - DUE)
        with meter.step() as units:
            look()
        yield looked(stored, look, f"{units.reads:g} read units")


def _fill(table: str, number: int) -> None:
    """As the store would have made them."""
    some = []
    for run in over_or_far(number):
        parts = parts_of(run)
        some += [written(run).hot_item(parts), *parts.items]
    Table(table, 60, aws.client("dynamodb")).put_all(some)


@contextmanager
def local() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder, dynamodb_local(Path(folder)) as endpoint:
        os.environ.update({**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": endpoint})
        yield Bench()


def main() -> None:
    with local() as bench:
        shown("pushpool on DynamoDB Local", rows(bench))


if __name__ == "__main__":
    main()
