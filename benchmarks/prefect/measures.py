"""What is measured, the same way on both sides; the sides take turns, so that whatever drifts meets both."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from benchmarks.prefect.listening import PATIENCE_SECONDS, now
from benchmarks.prefect.side import Lane, Pair
from benchmarks.prefect.standing import Use, has_jobs

T = TypeVar("T")
U = TypeVar("U")
_EXIT_SECONDS = 20.0
Times = Mapping[str, float]  # run → seconds since 1970


@dataclass(frozen=True, slots=True)
class Both(Generic[T]):
    """What was found on either side, one for each turn."""

    theirs: Sequence[T]
    ours: Sequence[T]

    def each(self, take: Callable[[T], U]) -> Both[U]:
        return Both([take(one) for one in self.theirs], [take(one) for one in self.ours])


def in_turns(pair: Pair, times: int, measure: Callable[[Lane], T]) -> Both[T]:
    turns = [(measure(pair.theirs), measure(pair.ours)) for _ in range(times)]
    return Both([theirs for theirs, _ in turns], [ours for _, ours in turns])


def warm(pair: Pair) -> None:
    """What a first run has to load and to make, later ones find."""
    for lane in (pair.theirs, pair.ours):
        lane.listener.ended(lane.create(1))
        settled(lane)


@dataclass(frozen=True, slots=True)
class Single:
    """One run that was asked for when nothing else ran."""

    run: str
    asked: float
    started: float

    @property
    def took(self) -> float:
        return self.started - self.asked


def single(lane: Lane) -> Single:
    """Asked for at any moment between two polls."""
    time.sleep(random.uniform(0, lane.poll_seconds))
    asked = now()
    (run,) = lane.create(1)
    started = lane.listener.started(run)
    settled(lane)
    return Single(run, asked, started)


def freed_to_next(lane: Lane, runs: int, begun: Times) -> list[float]:
    """With one slot: from the end of each run to the next one, which has begun when `begun` says."""
    with lane.limited(1):
        with paused(lane):
            made = lane.create(runs)
        ends = lane.listener.ended(made)
        settled(lane)
    turns = sorted((begun[run], ends[run]) for run in made)
    return [following - ended for (_, ended), (following, _) in pairwise(turns)]


@dataclass(frozen=True, slots=True)
class Burst:
    """Runs that had been created while their pool was paused, which was resumed at `resumed`.

    CPU in seconds for 1,000 runs, from creation to the end: of what stays up, and of the jobs that it started here.
    """

    runs: Sequence[str]
    resumed: float
    cpu: float
    jobs_cpu: float

    def rate(self, begun: Times) -> float:
        """How many began a second, from the first to the last."""
        times = sorted(begun[run] for run in self.runs)
        return (len(times) - 1) / (times[-1] - times[0])

    def last(self, begun: Times) -> float:
        """Seconds until the last began."""
        return max(begun[run] for run in self.runs) - self.resumed


def burst(lane: Lane, runs: int) -> Burst:
    before = lane.use()
    with paused(lane):
        made = lane.create(runs)
        resumed = now()
    lane.listener.ended(made)
    settled(lane)
    _exited(lane)
    after = lane.use()
    cpu, jobs_cpu = after.own - before.own, after.jobs - before.jobs
    return Burst(made, resumed, cpu / runs * 1000, jobs_cpu / runs * 1000)


def most_at_once(lane: Lane, deployments: Sequence[str], runs: int) -> float:
    """Of as many runs of each deployment, all of them due at once."""
    with paused(lane):
        made = [lane.side.create(name) for _ in range(runs) for name in deployments]
    lane.listener.ended(made)
    settled(lane)
    return lane.listener.most_at_once(made)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stays up while nothing is due: what it uses, and its CPU seconds an hour."""

    use: Use
    cpu_an_hour: float


def idle(lane: Lane, seconds: float) -> Standing:
    before = lane.use()
    time.sleep(seconds)
    after = lane.use()
    return Standing(after, (after.own - before.own) / seconds * 3600)


def settled(lane: Lane) -> None:
    """Returns when the side knows that all runs of the pool have ended. :raises TimeoutError:"""
    until = time.monotonic() + PATIENCE_SECONDS
    while (left := lane.side.active(lane.pool)) > 0:
        if time.monotonic() > until:
            raise TimeoutError(f"pool {lane.pool} takes {left} runs for active after {PATIENCE_SECONDS:g} s")
        time.sleep(0.25)


def _exited(lane: Lane) -> None:
    """Returns when the jobs of what stays up have exited, which they do after they have said their end."""
    until = time.monotonic() + _EXIT_SECONDS
    while has_jobs(lane.side.stayers) and time.monotonic() < until:
        time.sleep(0.1)


@contextmanager
def paused(lane: Lane) -> Iterator[None]:
    """What is created meanwhile waits until the block ends."""
    lane.side.pause(lane.pool)
    yield
    lane.side.resume(lane.pool)
