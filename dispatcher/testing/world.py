"""A whole installation on a store and a far side, its containers' parts played by script, and the promises checked.

The script reads everything from the store and the far side, so it can be cut anywhere and goes on from there. A
container does what its deployment's name says: `ok` completes, `flaky` fails in its first attempt, `dies` is lost
with its host once, `slow` runs until it is cancelled, `overruns` until it is over its timeout, `mute` has no runner
and is told of by the cloud alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dispatcher import callbacks, records
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.changes import deployment_named
from dispatcher.catalogue.queues import put_queue
from dispatcher.catalogue.schedules import set_schedule_active
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.errors import Conflict, PushpoolError, Unauthorized
from dispatcher.forms import DeploymentForm, RunForm, ScheduleForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import Infrastructure, RunFilter, Store
from dispatcher.runs import FlowRun, StateType, deployment_limit, queue_limit
from dispatcher.testing.clock import HandClock
from dispatcher.testing.crashes import CHANGES, DiedError, Fuse, fused_cloud, fused_store
from dispatcher.testing.fake_cloud import TYPE, FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.memory import MemoryStore
from dispatcher.tokens import KeyRing

POOL = "pool"
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {"command": {"type": "string", "default": "job"}, "env": {"type": "object"}},
    },
}
ROUND = timedelta(seconds=20)


class Broken(AssertionError):
    """A promise was broken; says which, and how."""


class _Silent:
    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        """Every wake is lost: the tick alone must do."""


@dataclass(slots=True)
class World:
    """`open_store` connects anew to the same data, as a process that comes up does."""

    open_store: Callable[[], Store]
    far: FarSide
    clock: HandClock
    keys: KeyRing = field(default_factory=KeyRing.generate)
    said: dict[str, str] = field(default_factory=dict)  # handle → what its container said last

    def context(self, fuse: Fuse | None = None) -> Context:
        store: Store = self.open_store()
        cloud: Infrastructure = FakeCloud(self.far)
        if fuse is not None:
            store, cloud = fused_store(store, fuse), fused_cloud(cloud, fuse)
        return Context(store, lambda _: cloud, _Silent(), self.keys, self.clock, "http://127.0.0.1:4280")

    def prepare(self) -> None:
        """A pool with a limit of 3, a queue with a limit of 2, and a deployment of each kind."""
        context, now = self.context(), self.clock.now()
        pool = WorkPool(name=POOL, type=TYPE, created=now, updated=now, base_job_template=TEMPLATE, concurrency_limit=3)
        records.write(context.store, pool)
        put_queue(context, POOL, "default", WorkQueueForm())
        put_queue(context, POOL, "narrow", WorkQueueForm(concurrency_limit=2))
        self._register("ok", queue="narrow", schedules=[ScheduleForm(interval=60, anchor_date="2026-03-01T12:00:30Z")])
        self._register("flaky", retries=1, retry_delay_seconds=5)
        self._register("dies", concurrency_limit=1)
        self._register("slow", queue="narrow")
        self._register("overruns", timeout_seconds=60)
        self._register("mute")

    def _register(self, name: str, **fields: Any) -> None:
        deployments.put_deployment(self.context(), name, DeploymentForm(pool=POOL, **fields))

    def order(self) -> None:
        """One run of each kind, two of those that are limited."""
        context = self.context()
        for name in ("ok", "flaky", "dies", "dies", "slow", "overruns", "mute"):
            flow_runs.create_run(context, name, RunForm())

    # one round of what goes on

    def round(self, fuse: Fuse | None = None) -> None:
        """Containers speak, the cloud tells, people cancel, a tick is made; then time goes on."""
        context = self.context(fuse)
        for handle in self.far.live():
            self._act(context, handle)
        self._hear(context)
        self._cancel_slow(context)
        dispatcher = Dispatcher(context)
        try:
            dispatcher.tick(until=self.clock.now() + timedelta(minutes=1))
        finally:
            dispatcher.close()
        self.clock.move(ROUND)

    def _act(self, context: Context, handle: str) -> None:
        environment = self.far.environment(handle)
        kind, attempt = self._kind(handle), int(environment["PUSHPOOL_ATTEMPT"])
        if not self._is_up(handle):
            return
        if self.said.get(handle) == "RUNNING":
            self._speak(context, "an impostor", environment, Word.COMPLETED, 0)  # is not to be believed
        if kind == "mute":
            self.far.finish(handle, 0)
        elif kind == "dies" and attempt == 1 and self.said.get(handle) == "RUNNING":
            self.far.crash(handle)
        elif self.said.get(handle) != "RUNNING":
            self._claim(context, handle, environment)
        elif kind in ("ok", "flaky", "dies"):
            failed = kind == "flaky" and attempt == 1
            self._end(context, handle, environment, 1 if failed else 0)
        else:
            self._beat(context, handle, environment)

    def _is_up(self, handle: str) -> bool:
        row = self.far.container(handle)
        assert row is not None
        return bool(row["running"])

    def _kind(self, handle: str) -> str:
        row = self.far.container(handle)
        assert row is not None
        return str(row["deployment"])

    def _claim(self, context: Context, handle: str, environment: dict[str, str]) -> None:
        try:
            self._speak(context, handle, environment, Word.RUNNING)
        except (Conflict, Unauthorized):
            self.far.finish(handle, 75)
        else:
            self.said[handle] = "RUNNING"

    def _end(self, context: Context, handle: str, environment: dict[str, str], code: int) -> None:
        self._speak(context, handle, environment, Word.FAILED if code else Word.COMPLETED, code)
        self.said[handle] = "END"
        self.far.finish(handle, code)

    def _speak(
        self, context: Context, handle: str, environment: dict[str, str], word: Word, code: int | None = None
    ) -> FlowRun:
        token = callbacks.authenticate(context, environment["PUSHPOOL_RUN_TOKEN"])
        return callbacks.say(context, token, StateWord(state=word, instance=handle, exit_code=code))

    def _beat(self, context: Context, handle: str, environment: dict[str, str]) -> None:
        token = callbacks.authenticate(context, environment["PUSHPOOL_RUN_TOKEN"])
        try:
            callbacks.beat(context, token, handle)
        except Conflict:
            self.far.finish(handle, 75)

    def _hear(self, context: Context) -> None:
        cloud = context.infrastructure(TYPE)
        for raw in self.far.take_events():
            event = cloud.parse_event(raw)
            if event is not None:
                callbacks.hear(context, cloud, event)

    def _cancel_slow(self, context: Context) -> None:
        wanted = RunFilter(deployment="slow", types=frozenset({StateType.RUNNING}))
        for run in context.store.runs(wanted).items:
            flow_runs.cancel_run(context, run.id)

    # the promises, from the outside

    def is_over(self) -> bool:
        context = self.context()
        done = all(run.is_final for run in self.runs(context.store))
        owed = context.store.outbox_due(POOL, self.clock.now() + timedelta(days=365), limit=1)
        return done and not owed and not context.store.active(POOL) and not self.far.live()

    def stop_scheduling(self) -> None:
        context = self.context()
        for schedule in deployment_named(context, "ok").schedules:
            set_schedule_active(context, "ok", schedule.id, active=False)

    def runs(self, store: Store) -> list[FlowRun]:
        found: list[FlowRun] = []
        after: str | None = None
        while True:
            page = store.runs(RunFilter(), after=after, limit=200)
            found += page.items
            after = page.after
            if after is None:
                return found

    def check(self) -> None:
        """The five promises. :raises Broken:"""
        store = self.context().store
        self._check_limits()
        if doubles := self.far.doubles():
            raise Broken(f"started twice: {doubles}")
        unfinished = [f"{run.deployment} {run.state}" for run in self.runs(store) if not run.is_final]
        if unfinished or self.far.live():
            raise Broken(f"lost or stuck: {unfinished}, containers {self.far.live()}")
        self._check_slots(store)
        self._check_ends(store)
        self._check_stale_words(store)

    def _check_limits(self) -> None:
        highest = max(self.far.highest().values()), self.far.highest("deployment").get("dies", 0)
        if highest[0] > 3 or highest[1] > 1:
            raise Broken(f"limits exceeded: {highest[0]} in the pool of 3, {highest[1]} in the deployment of 1")

    def _check_slots(self, store: Store) -> None:
        limits = [queue_limit(POOL, "narrow")]
        limits += [deployment_limit(deployment_named(self.context(), "dies").id)]
        held = {limit: dict(store.held(limit)) for limit in limits if store.held(limit)}
        if held or store.active(POOL):
            raise Broken(f"slots leaked: {held}, {store.active(POOL)}")

    def _check_ends(self, store: Store) -> None:
        expected = {"ok": "COMPLETED", "flaky": "COMPLETED", "dies": "COMPLETED", "mute": "COMPLETED",
                    "slow": "CANCELLED", "overruns": "FAILED"}  # fmt: skip
        for run in self.runs(store):
            if run.state.type.value != expected[run.deployment]:
                raise Broken(f"{run.deployment} ended {run.state}: {[f'{s.name} {s.message}' for s in run.history]}")

    def _check_stale_words(self, store: Store) -> None:
        """Everything that every container could still say, said once more."""
        before = {run.id: run for run in self.runs(store)}
        context = self.context()
        for start in self.far.started():
            environment = self.far.environment(start.handle)
            for word in Word:
                for instance in (start.handle, "another"):
                    try:
                        token = callbacks.authenticate(context, environment["PUSHPOOL_RUN_TOKEN"])
                        callbacks.say(context, token, StateWord(state=word, instance=instance, exit_code=9))
                        callbacks.beat(context, token, instance)
                    except PushpoolError:
                        continue
        after = {run.id: run for run in self.runs(store)}
        if after != before:
            raise Broken("a stale word changed something")


def live(world: World, fuse_at: int | None = None, *, of: str | None = None, rounds: int = 60) -> list[str]:
    """A life of the world with one death at a step; then on without, to the end. Returns the steps that were passed.

    Which step comes when is not the same in every life; `of` makes sure that it dies at one of that name.
    """
    world.prepare()
    world.order()
    fuse = Fuse(fuse_at, of=of)
    for number in range(rounds):
        try:
            world.round(None if fuse.is_dead else fuse)
        except DiedError:
            world.clock.move(timedelta(seconds=1))
        if number == 3:
            world.stop_scheduling()
        if number > 4 and world.is_over():
            break
    world.check()
    return fuse.steps


def changes(folder: Path) -> dict[str, int]:
    """Each kind of step that changes something in a life, and how many of them are before its middle one."""
    clock, store = start_at(), MemoryStore()
    steps = Counter(live(World(lambda: store, FarSide(folder / "in-memory.db", now=clock.now), clock)))
    return {name: (count - 1) // 2 for name, count in sorted(steps.items()) if name in CHANGES}


def start_at() -> HandClock:
    return HandClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
