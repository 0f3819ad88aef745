"""Passes and wakes: commits a thousand admissions, a burst, and how soon a run is submitted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from adapters.wakers.timers import Timers
from benchmarks.bench import DEPLOYMENT, Installation, NoWakes, Row, installation, median_ms, timed
from dispatcher import callbacks
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import flow_runs
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import RunForm
from dispatcher.ports import RunFilter

ADMITTED = 1000
BURST = 500
SAMPLES = 100


def rows() -> Iterator[Row]:
    yield from _admissions()
    yield from _burst()
    yield Row("created now → submit call", median_ms(_created_to_submitted()), "≤ 15 ms")
    yield Row("freed slot → next submit call", median_ms(_freed_to_submitted()), "≤ 10 ms")


def _create(made: Installation, number: int) -> list[str]:
    return [flow_runs.create_run(made.context, DEPLOYMENT, RunForm())[0].id for _ in range(number)]


def _pass(made: Installation) -> None:
    dispatcher = Dispatcher(made.context)
    dispatcher.tick(until=made.context.clock.now() + timedelta(minutes=5))
    dispatcher.close()


def _admissions() -> Iterator[Row]:
    with installation(NoWakes()) as made:
        _create(made, ADMITTED)
        made.store.calls.clear()
        took = timed(lambda: _pass(made))
        commits = made.store.calls["admit"]
        submitted = len(made.cloud.submitted)
    yield Row(f"{submitted:,} due runs admitted in one pass", f"{commits} store commits", "≤ 50")
    yield Row(f"{submitted:,} due runs admitted and submitted", f"{took:.2f} s")


def _burst() -> Iterator[Row]:
    with installation(NoWakes()) as made:
        before = time.process_time()
        ids = _create(made, BURST)
        took = timed(lambda: _pass(made))
        for run_id in ids:
            _live(made, run_id)
        cpu = (time.process_time() - before) / BURST * 1000
        done = len(made.context.store.runs(RunFilter(names=frozenset({"Completed"})), limit=200).items)
        assert done == 200, "a page of completed runs"
    yield Row(f"burst of {BURST} due runs", f"{BURST / took:.0f} starts a second", "≥ 120")
    yield Row("CPU of 1,000 runs, from creation to the end", f"{cpu:.1f} s", "≤ 10 s")


def _live(made: Installation, run_id: str) -> None:
    """A container's whole life, as its callbacks."""
    token = callbacks.authenticate(made.context, made.cloud.tokens[run_id])
    callbacks.say(made.context, token, StateWord(state=Word.RUNNING, instance="bench"))
    callbacks.say(made.context, token, StateWord(state=Word.COMPLETED, instance="bench", exit_code=0))


def _woken(limit: int | None) -> Iterator[Installation]:
    """An installation with an agent's timers: passes are made when they are asked for."""
    dispatchers: list[Dispatcher] = []

    def over(pool: str, hops: int) -> None:
        for dispatcher in dispatchers:  # none yet while the deployment is registered
            dispatcher.wake(pool, until=made.context.clock.now() + timedelta(minutes=1), hops=hops)

    timers = Timers(over)
    with installation(timers, limit=limit) as made:
        dispatchers.append(Dispatcher(made.context))
        try:
            yield made
        finally:
            timers.close()
            dispatchers[0].close()


def _created_to_submitted() -> list[float]:
    times = []
    for made in _woken(None):
        for _ in range(SAMPLES):
            start = time.perf_counter()
            (run_id,) = _create(made, 1)
            times.append(made.cloud.wait_for(run_id) - start)
            time.sleep(0.02)  # the pass that follows each is not what is measured
    return times


def _freed_to_submitted() -> list[float]:
    times = []
    for made in _woken(1):
        ids = _create(made, SAMPLES + 1)
        running = _next(made, ids, set())
        seen = {running}
        for _ in range(SAMPLES):
            token = callbacks.authenticate(made.context, made.cloud.tokens[running])
            callbacks.say(made.context, token, StateWord(state=Word.RUNNING, instance="bench"))
            time.sleep(0.02)
            start = time.perf_counter()
            callbacks.say(made.context, token, StateWord(state=Word.COMPLETED, instance="bench", exit_code=0))
            running = _next(made, ids, seen)
            times.append(made.cloud.submitted[running] - start)
            seen.add(running)
    return times


def _next(made: Installation, ids: list[str], seen: set[str]) -> str:
    """The next run that is submitted."""
    with made.cloud.heard:
        made.cloud.heard.wait_for(lambda: len(made.cloud.submitted) > len(seen), timeout=10)
        return next(run_id for run_id in ids if run_id in made.cloud.submitted and run_id not in seen)
