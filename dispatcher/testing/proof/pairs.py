"""Pairs of a store and a cloud, each proved in a process of its own, a few at once; and the table of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dispatcher.testing.proof import matrix
from dispatcher.testing.proof.cell import Plan, Told
from dispatcher.testing.proof.matrix import Pair, Tally
from dispatcher.testing.proof.promises import Promise

SHOWN = 20  # breaches of a pair


def all_of(pairs: Sequence[Pair], folder: Path, jobs: int, console: Console) -> int:
    """How many promises were broken."""
    with ThreadPoolExecutor(jobs) as threads:
        tallies = list(threads.map(lambda pair: _apart(pair, folder, console), pairs))
    console.print(_table(dict(zip(pairs, tallies, strict=True))))
    return sum(tally.broken.total() for tally in tallies)


def one(pair: Pair, folder: Path, plan: str | None, results: Path | None, console: Console) -> int:
    """A pair in this process: all of it, or one life. The exit code."""
    if plan is not None:
        with matrix.cell(pair, folder) as cell:
            return _shown(cell.live(Plan.parse(plan)), console)

    def tell(so_far: Tally) -> None:
        if results is not None:
            results.write_text(so_far.to_json())

    tally = matrix.prove(pair, folder, tell)
    if results is None:
        console.print(_table({pair: tally}))
        console.print(*tally.breaches[:SHOWN], sep="\n", markup=False)
    return 1 if tally.broken else 0


def _shown(told: Told, console: Console) -> int:
    console.print(f"{told.plan}: {len(told.steps)} steps, {told.started} containers", markup=False)
    if told.tripped is not None:
        console.print(f"went wrong {told.tripped}", markup=False)
    for breach in told.breaches:
        console.print(f"{breach.promise}: {breach.how}", markup=False)
    return 1 if told.breaches else 0


def _apart(pair: Pair, folder: Path, console: Console) -> Tally:
    """In a process of its own. What it could not do at all is a promise that was not kept."""
    name = f"{pair.store}-{pair.cloud}"
    results, log = folder / f"{name}.json", folder / f"{name}.log"
    command = [sys.executable, "-m", "dispatcher.testing.proof", "--pair", pair.store, pair.cloud]
    with log.open("wb") as output:
        done = subprocess.run(
            [*command, "--results", str(results)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    tally = Tally.from_json(results.read_text()) if results.exists() else Tally()
    if done.returncode not in (0, 1) or (done.returncode and not tally.broken):
        tally.broken[Promise.LOST.value] += 1
        tally.breaches.append(f"it came to an end with {done.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    console.print(f"{pair}: {tally.lives} lives, {tally.broken.total()} promises broken, {tally.seconds:.0f} s")
    for breach in tally.breaches[:SHOWN]:
        console.print(f"{pair}: {breach}", markup=False)
    return tally


def _table(told: dict[Pair, Tally]) -> Table:
    table = Table(title="Each line a store with an infrastructure", title_justify="left")
    table.add_column("store with cloud")
    for heading in ("lives", "containers", "killed at", "unheard at", *Promise, "seconds"):
        table.add_column(heading, justify="right")
    for line in _lines(told):
        table.add_row(*line)
    return table


def _lines(told: dict[Pair, Tally]) -> Iterator[list[str]]:
    for pair, tally in told.items():
        yield [str(pair), *(f"{figure:,}" for figure in tally.figures), f"{tally.seconds:.0f}"]
    if len(told) > 1:
        sums = [sum(column) for column in zip(*(tally.figures for tally in told.values()), strict=True)]
        yield ["all", *(f"{figure:,}" for figure in sums), ""]
