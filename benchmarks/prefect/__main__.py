"""`make bench-prefect`: pushpool beside Prefect, as tables of medians, spreads and ratios."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.prefect import ecs, limits, local, ours, postgres, theirs
from benchmarks.prefect.listening import Listener, listening
from benchmarks.prefect.local import DEFAULT_QUERY_SECONDS, FAST_QUERY_SECONDS, Size
from benchmarks.prefect.ours import Pushpool
from benchmarks.prefect.processes import Place, place
from benchmarks.prefect.report import Figure, shown
from benchmarks.prefect.theirs import Prefect
from dispatcher.testing.servers.processes import Missing

NOTES = f"""
After the first table Prefect asks for work every {FAST_QUERY_SECONDS:g} s, on {{database}}. Each line has the median \
(from the least to the most, of n), and how many times better pushpool is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    default: Size
    framework: Size
    command: Size
    task: Size
    rounds: int
    limited_runs: int
    idle_seconds: float


WHOLE = Plan(
    default=Size(singles=6, freed=2, bursts=1, runs=12),
    framework=Size(singles=10, freed=4, bursts=3, runs=12),
    command=Size(singles=20, freed=10, bursts=3, runs=40),
    task=Size(singles=8, freed=5, bursts=2, runs=20),
    rounds=3, limited_runs=8, idle_seconds=8,
)  # fmt: skip
QUICK = Plan(
    default=Size(singles=1, freed=2, bursts=1, runs=6),
    framework=Size(singles=2, freed=3, bursts=1, runs=6),
    command=Size(singles=3, freed=3, bursts=1, runs=20),
    task=Size(singles=2, freed=3, bursts=1, runs=5),
    rounds=1, limited_runs=6, idle_seconds=3,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefect", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few samples of each, to see that it works")
    plan = QUICK if parser.parse_args().quick else WHOLE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    begun = time.monotonic()
    try:
        with place() as where, listening() as listener:
            _as_installed(where, listener, plan)
            with postgres.postgresql(where) as database, theirs.prefect_server(where, "prefect", database) as server:
                _tuned(where, listener, server, plan)
                print(NOTES.format(database="PostgreSQL" if database else "SQLite: PostgreSQL is not installed"))
    except Missing as exc:
        print(f"{exc}; Prefect's by `make bench-prefect`")
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{len(listener.starts)} runs were heard of, {len(listener.doubled)} of them started twice.")
    print(f"\n{_versions()}; {(time.monotonic() - begun) / 60:.0f} minutes")
    return 0


def _as_installed(where: Place, listener: Listener, plan: Plan) -> None:
    with theirs.prefect_server(where, "prefect-sqlite") as server, ours.serving(where, "serve-first") as installation:
        title = f"Processes, as installed: Prefect on SQLite, asking every {DEFAULT_QUERY_SECONDS:g} s"
        shown(title, _at_default(server, installation, listener, plan))


def _tuned(where: Place, listener: Listener, server: Prefect, plan: Plan) -> None:
    with ours.serving(where, "serve") as installation:
        shown("Processes, a flow and a function", _by_framework(server, installation, listener, plan))
        shown("Processes, the same command line", _by_command(server, installation, listener, plan))
    title = f"A pool with a limit of {limits.LIMIT}, and two who ask for work"
    shown(title, limits.figures(where, server, listener, rounds=plan.rounds, runs=plan.limited_runs))
    shown("Tasks of ECS, the same command line", _by_task(where, server, listener, plan))


def _at_default(server: Prefect, installation: Pushpool, listener: Listener, plan: Plan) -> Iterator[Figure]:
    with local.by_framework(server, installation, listener, DEFAULT_QUERY_SECONDS) as pair:
        yield from local.standing(pair, plan.idle_seconds, "before the first run")
        yield from local.latencies(pair, plan.default)
        yield from local.bursts(pair, plan.default)


def _by_framework(server: Prefect, installation: Pushpool, listener: Listener, plan: Plan) -> Iterator[Figure]:
    with local.by_framework(server, installation, listener, FAST_QUERY_SECONDS) as pair:
        yield from local.latencies(pair, plan.framework)
        yield from local.bursts(pair, plan.framework)


def _by_command(server: Prefect, installation: Pushpool, listener: Listener, plan: Plan) -> Iterator[Figure]:
    with local.by_command(server, installation, listener) as pair:
        yield from local.latencies(pair, plan.command)
        yield from local.bursts(pair, plan.command)
        yield from local.standing(pair, plan.idle_seconds, "afterwards")


def _by_task(where: Place, server: Prefect, listener: Listener, plan: Plan) -> Iterator[Figure]:
    asked = ecs.Asked()
    with ecs.by_task(where, server, listener, asked) as pair:
        yield from ecs.figures(pair, asked, plan.task)
        yield from local.standing(pair, plan.idle_seconds, "afterwards")


def _versions() -> str:
    told = subprocess.run(
        [theirs.program("python"), "-m", "pip", "freeze", "--disable-pip-version-check"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    named = [line for line in told.split() if line.startswith(("prefect==", "prefect-aws=="))]
    named += filter(None, [postgres.version().strip()])
    here = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores"
    return f"{', '.join(named)}; {here}, {platform.platform()}"


if __name__ == "__main__":
    sys.exit(main())
