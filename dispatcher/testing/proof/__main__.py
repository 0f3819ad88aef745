"""`make prove`: the promises on every store with every infrastructure, a crowd of dispatchers, 100,000 runs.

Exits with 1 if a promise was broken. What broke it can be lived again: `--pair STORE CLOUD --plan PLAN`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dispatcher.testing.proof import crowd, endurance, matrix, pairs
from dispatcher.testing.proof.clouds import CLOUDS
from dispatcher.testing.proof.stores import STORES
from dispatcher.testing.proof.uncovered import UNCOVERED
from dispatcher.testing.servers.processes import Missing

PARTS = ("matrix", "crowd", "endurance")
# Processes and runs. The emulator of Firestore locks what the service does not.
CROWDS = {"sqlite": (16, 5000), "dynamodb": (16, 5000), "firestore": (4, 200)}
LONG = 100_000  # runs


def main(arguments: Sequence[str] | None = None) -> int:
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        return _proved(_parser().parse_args(arguments), console)
    except Missing as exc:
        console.print(str(exc), markup=False)
        return 2


def _proved(given: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pushpool-proof-") as name:
        folder = Path(name)
        if given.pair is not None:
            return pairs.one(matrix.Pair(*given.pair), folder, given.plan, given.results, console)
        broken = 0
        if "matrix" in given.parts:
            chosen = [matrix.Pair(store, cloud) for store in given.stores for cloud in given.clouds]
            broken += pairs.all_of(chosen, folder, given.jobs, console)
        if "crowd" in given.parts:
            broken += sum(_crowd(store, folder, console) for store in given.stores)
        if "endurance" in given.parts:
            broken += _endurance(folder, console)
    console.print(UNCOVERED, markup=False)
    console.print(f"{broken} promises broken, in {(time.monotonic() - began) / 60:.0f} minutes")
    return 1 if broken else 0


def _crowd(store: str, folder: Path, console: Console) -> int:
    processes, runs = CROWDS[store]
    told = crowd.run(store, processes=processes, runs=runs, folder=_new(folder / f"crowd-{store}"))
    return _shown(f"A crowd on {store}", told.rows(), told.broken(), console)


def _endurance(folder: Path, console: Console) -> int:
    told = endurance.run(runs=LONG, folder=_new(folder / "endurance"))
    return _shown("Endurance", told.rows(), told.broken(), console)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _shown(title: str, rows: Sequence[tuple[str, str]], broken: Sequence[str], console: Console) -> int:
    table = Table("what", "measured", title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for sentence in broken:
        console.print(sentence, markup=False)
    return len(broken)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--parts", type=_some_of(PARTS), default=PARTS, metavar="A,B", help=", ".join(PARTS))
    parser.add_argument("--stores", type=_some_of(STORES), default=list(STORES), metavar="A,B", help=", ".join(STORES))
    parser.add_argument("--clouds", type=_some_of(CLOUDS), default=list(CLOUDS), metavar="A,B", help=", ".join(CLOUDS))
    parser.add_argument("--jobs", type=int, default=2, help="pairs of store and cloud at once (2)")
    parser.add_argument("--pair", nargs=2, metavar=("STORE", "CLOUD"), help="one of them alone")
    parser.add_argument("--plan", help="with --pair: one life alone, as in `reply lost,killed,17`")
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    return parser


def _some_of(names: Iterable[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen).difference(names):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(names)}")
        return chosen

    return read


if __name__ == "__main__":
    sys.exit(main())
