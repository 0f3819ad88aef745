"""Runs as processes of this machine: a Prefect server with a process worker, `pushpool serve` with a process pool."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from benchmarks.prefect import job, measures
from benchmarks.prefect.listening import Listener
from benchmarks.prefect.measures import Both, in_turns
from benchmarks.prefect.ours import Pushpool
from benchmarks.prefect.report import Better, Figure
from benchmarks.prefect.side import Lane, Pair
from benchmarks.prefect.theirs import Prefect

DEFAULT_QUERY_SECONDS, FAST_QUERY_SECONDS = 10.0, 1.0
TURNS = 2  # with one slot, on either side
JOB = Path(job.__file__)


@dataclass(frozen=True, slots=True)
class Size:
    """How many single runs, how many in a turn with one slot, how many bursts, and of how many runs each."""

    singles: int
    freed: int
    bursts: int
    runs: int


def command(listener: Listener, seconds: float = 0) -> list[str]:
    """The work as a command line; the interpreter leaves out what it does not need."""
    return [sys.executable, "-I", "-S", str(JOB), str(listener.port), str(seconds)]


@contextmanager
def by_framework(theirs: Prefect, ours: Pushpool, listener: Listener, query_seconds: float) -> Iterator[Pair]:
    """As users run it: a flow under Prefect's engine, a function under pushpool's runner."""
    parameters = {"port": listener.port, "seconds": 0}
    ours.pool("functions", "process")
    ours.deploy("function", "functions", entrypoint=f"{JOB}:work", parameters=parameters)
    theirs.pool("flows", "process")
    theirs.deploy("flow", "flows", parameters=parameters)
    with theirs.worker("flows", "process", query_seconds=query_seconds):
        yield Pair(
            Lane(theirs, "flows", "flow", listener, query_seconds), Lane(ours, "functions", "function", listener)
        )


@contextmanager
def by_command(theirs: Prefect, ours: Pushpool, listener: Listener) -> Iterator[Pair]:
    """The same command line on both sides, and nothing around it."""
    words = command(listener)
    ours.pool("commands", "process", runner=False)
    ours.deploy("command", "commands", command=words)
    theirs.pool("commands", "process")
    theirs.deploy("command", "commands", job_variables={"command": shlex.join(words)})
    with theirs.worker("commands", "process", query_seconds=FAST_QUERY_SECONDS):
        yield Pair(
            Lane(theirs, "commands", "command", listener, FAST_QUERY_SECONDS),
            Lane(ours, "commands", "command", listener),
        )


def latencies(pair: Pair, size: Size) -> Iterator[Figure]:
    measures.warm(pair)
    singles = in_turns(pair, size.singles, measures.single)
    yield Figure("created now → start", singles.each(lambda one: one.took), "s")
    yield freed("freed slot → next start", pair, size, pair.theirs.listener.starts)


def freed(what: str, pair: Pair, size: Size, begun: measures.Times) -> Figure:
    """`begun`: when runs have begun, in whichever sense."""
    found = in_turns(pair, TURNS, lambda lane: measures.freed_to_next(lane, size.freed, begun))
    return Figure(what, Both(list(chain.from_iterable(found.theirs)), list(chain.from_iterable(found.ours))), "s")


def bursts(pair: Pair, size: Size) -> Iterator[Figure]:
    starts = pair.theirs.listener.starts
    found = in_turns(pair, size.bursts, lambda lane: measures.burst(lane, size.runs))
    due = f"{size.runs} runs due at once"
    yield Figure(f"{due}: starts a second", found.each(lambda one: one.rate(starts)), "", Better.MORE)
    yield Figure(f"{due}: until the last has started", found.each(lambda one: one.last(starts)), "s")
    yield Figure("CPU for 1,000 runs, of what stays up", found.each(lambda one: one.cpu), "s")
    yield Figure("CPU for 1,000 runs, of the runs themselves", found.each(lambda one: one.jobs_cpu), "s")


def standing(pair: Pair, seconds: float, when: str) -> Iterator[Figure]:
    """What has to stay up, while nothing is due."""
    found = in_turns(pair, 1, lambda lane: measures.idle(lane, seconds))
    yield Figure(f"resident memory {when}", found.each(lambda one: one.use.resident), "MiB")
    yield Figure(f"resident memory {when}, what is shared divided", found.each(lambda one: one.use.divided), "MiB")
    yield Figure(f"CPU an hour {when}", found.each(lambda one: one.cpu_an_hour), "s")
