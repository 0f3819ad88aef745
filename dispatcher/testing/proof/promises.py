"""The five promises, checked from outside: by what the cloud has really started, and what the store says in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from dispatcher.callbacks import Word
from dispatcher.catalogue.changes import deployment_named
from dispatcher.runs import deployment_limit, queue_limit
from dispatcher.testing.proof.cast import POOL, POOL_LIMIT, QUEUE_LIMITS, ROLES, dates
from dispatcher.testing.proof.far import Container
from dispatcher.testing.proof.life import Life
from dispatcher.testing.proof.product import Died


class Promise(StrEnum):
    """What is counted when it is broken."""

    LIMIT = "limit exceeded"
    DOUBLED = "started twice"
    LOST = "lost or stuck"
    LEAKED = "slot leaked"
    STALE = "stale word heard"


@dataclass(frozen=True, slots=True)
class Breach:
    promise: Promise
    how: str


def breaches(life: Life) -> list[Breach]:
    """Of a life that is over, or should be."""
    started = life.far.containers()
    found = [*_limits(life, started), *_doubled(life, started), *_lost(life), *_undated(life)]
    return [*found, *_leaked(life), *_stale(life, started)]


def highest(spans: Sequence[tuple[float, float]]) -> int:
    """How many of them there were at once, at most; where one ends another may begin."""
    steps = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def _limits(life: Life, started: Sequence[Container]) -> Iterator[Breach]:
    for what, limit, mine in _limited(life, started):
        spans = [(each.began, life.ran_until(each)) for each in mine]
        if (most := highest(spans)) > limit:
            yield Breach(Promise.LIMIT, f"{most} ran at once in {what}, whose limit is {limit}")


def _limited(life: Life, started: Sequence[Container]) -> Iterator[tuple[str, int, list[Container]]]:
    yield "the pool", POOL_LIMIT, list(started)
    for queue, limit in QUEUE_LIMITS.items():
        if limit is not None:
            yield f"queue {queue}", limit, [each for each in started if ROLES[each.deployment].queue == queue]
    for name in life.roles:
        if (most := ROLES[name].limit) is not None:
            yield f"deployment {name}", most, [each for each in started if each.deployment == name]


def _doubled(life: Life, started: Sequence[Container]) -> Iterator[Breach]:
    """What a cloud has started once more by itself is no submission, but its command may not start."""
    again = life.far.restarted()
    submitted = [each for each in started if each.name not in again]
    for what, those in (("submitted", submitted), ("let to start", [e for e in started if e.name in life.claimed])):
        for (run, attempt), times in Counter((each.run_id, each.attempt) for each in those).items():
            if times > 1:
                yield Breach(Promise.DOUBLED, f"attempt {attempt} of run {run} was {what} {times} times")


def _lost(life: Life) -> Iterator[Breach]:
    for run in life.runs():
        if run.state.type.value != ROLES[run.deployment].ends:
            history = ", ".join(f"{state.name} {state.message}".strip() for state in run.history)
            yield Breach(Promise.LOST, f"{run.deployment} {run.id} is {run.state.name}: {history}")
    for left in life.far.left():
        yield Breach(Promise.LOST, f"the cloud still keeps {left}")
    for owed in life.owed():
        yield Breach(Promise.LOST, f"still owed: {owed}")
    ordered = Counter(run.deployment for run in life.runs())
    for name in life.roles:
        if ordered[name] < ROLES[name].orders:
            yield Breach(Promise.LOST, f"{name} was ordered {ROLES[name].orders} times, and has {ordered[name]} runs")


def _undated(life: Life) -> Iterator[Breach]:
    """Each date that came while its schedule was active has one run."""
    scheduled = [run for run in life.runs() if run.schedule_id is not None]
    for name in (name for name in life.roles if ROLES[name].is_scheduled):
        made = Counter(run.scheduled_time for run in scheduled if run.deployment == name)
        for date in dates(life.scheduled_until):
            if made[date] != 1:
                yield Breach(Promise.LOST, f"{name} has {made[date]} runs of its date {date:%H:%M:%S}")


def _leaked(life: Life) -> Iterator[Breach]:
    limits = [queue_limit(POOL, queue) for queue in QUEUE_LIMITS]
    limits += [deployment_limit(deployment_named(life.context, name).id) for name in life.roles]
    for limit in limits:
        for slot, run in life.store.held(limit).items():
            yield Breach(Promise.LEAKED, f"slot {slot} of {limit} is held by {run}")
    for entry in life.store.active(POOL):
        yield Breach(Promise.LEAKED, f"slot {entry.slot} is held by {entry.run_id}")


def _stale(life: Life, started: Sequence[Container]) -> Iterator[Breach]:
    """Everything that every container could still say, said once more."""
    before = {run.id: run for run in life.runs() if run.is_final}
    for each in started:
        for word in Word:
            for instance in (each.name, "another"):
                _say(life, each.token, word, instance)
    for what in life.believed:
        yield Breach(Promise.STALE, what)
    for run in life.runs():
        if run.id in before and run != before[run.id]:
            yield Breach(Promise.STALE, f"{run.deployment} {run.id} was {before[run.id].state} and is {run.state}")


def _say(life: Life, token: str, word: Word, instance: str) -> None:
    """To the processes themselves: it is they who must not listen."""
    with suppress(Died):
        life.product.call("say", token, word, instance, 9)
        life.product.call("beat", token, instance)
