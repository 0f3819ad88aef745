"""Whatever happens in whatever order, after each step: limits hold, slots match runs, what has ended stays ended."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dispatcher import callbacks, records
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import flow_runs
from dispatcher.catalogue.changes import change_deployment, deployment_named
from dispatcher.catalogue.deployments import put_deployment
from dispatcher.catalogue.pools import pause_pool
from dispatcher.catalogue.queues import pause_queue, put_queue
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.errors import PushpoolError
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import RunFilter, Store
from dispatcher.runs import FlowRun
from dispatcher.testing.clock import HandClock
from dispatcher.testing.fake_cloud import TYPE, FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.proof.cast import POOL
from dispatcher.testing.proof.product import Silent
from dispatcher.testing.proof.scripted import TEMPLATE
from dispatcher.tokens import KeyRing

DEPLOYMENTS = ("plain", "limited", "replacing", "retried", "timed")
QUEUES = ("default", "narrow")
numbers = st.integers(0, 10_000)
limits = st.one_of(st.none(), st.integers(0, 4))


class Installation(RuleBasedStateMachine):
    """Several dispatchers, people, containers and a cloud on one store, one step at a time."""

    def an_empty_store(self) -> Store:
        return MemoryStore()

    @initialize()
    def open(self) -> None:
        self.folder = contextlib.ExitStack()
        path = Path(self.folder.enter_context(tempfile.TemporaryDirectory()))
        self.clock = HandClock()
        self.far = FarSide(path / "far.db", now=self.clock.now)
        self.store = self.an_empty_store()
        cloud = FakeCloud(self.far)
        self.context = Context(
            self.store, lambda _: cloud, Silent(), KeyRing.generate(), self.clock, "http://127.0.0.1:4280"
        )
        self.ended: dict[str, FlowRun] = {}
        self.held: dict[str, int] = {}
        self._register()

    def _register(self) -> None:
        context, now = self.context, self.clock.now()
        pool = WorkPool(name=POOL, type=TYPE, created=now, updated=now, base_job_template=TEMPLATE, concurrency_limit=3)
        records.write(self.store, pool)
        put_queue(context, POOL, "default", WorkQueueForm())
        put_queue(context, POOL, "narrow", WorkQueueForm(concurrency_limit=1))
        put_deployment(context, "plain", DeploymentForm(pool=POOL))
        put_deployment(context, "limited", DeploymentForm(pool=POOL, queue="narrow", concurrency_limit=1))
        replacing = DeploymentForm.model_validate(
            {"pool": POOL, "concurrency_limit": 1, "collision_strategy": "CANCEL_RUNNING"}
        )
        put_deployment(context, "replacing", replacing)
        put_deployment(context, "retried", DeploymentForm(pool=POOL, retries=1, retry_delay_seconds=3))
        put_deployment(context, "timed", DeploymentForm(pool=POOL, timeout_seconds=45))

    # people

    @rule(name=st.sampled_from(DEPLOYMENTS), soon=st.booleans())
    def create(self, name: str, soon: bool) -> None:
        at = self.clock.now() + timedelta(seconds=30) if soon else None
        flow_runs.create_run(self.context, name, RunForm(scheduled_time=at))

    @rule(pick=numbers)
    def cancel(self, pick: int) -> None:
        if (run := self._any(pick)) is not None:
            with contextlib.suppress(PushpoolError):
                flow_runs.cancel_run(self.context, run.id)

    @rule(pick=numbers)
    def retry(self, pick: int) -> None:
        if (run := self._any(pick)) is not None:
            with contextlib.suppress(PushpoolError):
                flow_runs.retry_run(self.context, run.id)
                self.ended.pop(run.id, None)

    @rule(paused=st.booleans(), what=st.sampled_from(["pool", *QUEUES, *DEPLOYMENTS]))
    def pause(self, paused: bool, what: str) -> None:
        context = self.context
        if what == "pool":
            pause_pool(context, POOL, paused=paused)
        elif what in QUEUES:
            pause_queue(context, POOL, what, paused=paused)
        else:
            change_deployment(context, what, paused=paused)

    @rule(limit=limits, what=st.sampled_from(["pool", "narrow", "limited"]))
    def change_limit(self, limit: int | None, what: str) -> None:
        context = self.context
        if what == "pool":
            pool = records.read(self.store, WorkPool, POOL)
            assert pool is not None
            records.write(self.store, replace(pool, concurrency_limit=limit))
        elif what == "narrow":
            put_queue(context, POOL, "narrow", WorkQueueForm(concurrency_limit=limit))
        else:
            change_deployment(context, "limited", concurrency_limit=limit)

    # dispatchers and time

    @rule(seconds=st.sampled_from([0, 5, 40, 400]))
    def dispatch(self, seconds: int) -> None:
        self.clock.move(timedelta(seconds=seconds))
        dispatcher = Dispatcher(self.context)
        dispatcher.tick(until=self.clock.now() + timedelta(minutes=1))
        dispatcher.close()

    @rule(kind=st.sampled_from(["reply lost", "throttled", "timeout", "rejected"]))
    def trouble(self, kind: str) -> None:
        self.far.fail_next(kind)

    # containers and their cloud; words may be stale, doubled, of another container

    @rule(pick=numbers, word=st.sampled_from(Word), impostor=st.booleans(), told=st.booleans(), code=st.integers(0, 2))
    def speak(self, pick: int, word: Word, impostor: bool, told: bool, code: int) -> None:
        started = self.far.started()
        if not started:
            return
        start = started[pick % len(started)]
        context = self.context
        environment = self.far.environment(start.handle)
        instance = "impostor" if impostor else start.handle
        before = self.store.get_run(start.run_id)
        with contextlib.suppress(PushpoolError):
            token = callbacks.authenticate(context, environment["PUSHPOOL_RUN_TOKEN"])
            callbacks.say(context, token, StateWord(state=word, instance=instance, exit_code=code, signalled=told))
            callbacks.beat(context, token, instance)
        if before is not None and self._is_stale(before, start.attempt, word, instance):
            assert self.store.get_run(start.run_id) == before

    def _is_stale(self, run: FlowRun, attempt: int, word: Word, instance: str) -> bool:
        """Whether such a word may change nothing: another attempt, no longer active, or not the claimer."""
        if run.attempt != attempt or not run.is_active or run.current is None:
            return True
        claimer = run.current.claimed_by
        return claimer != instance and (claimer is not None or word is not Word.RUNNING)

    @rule(pick=numbers, how=st.sampled_from(["finish", "crash", "kill"]))
    def stop_container(self, pick: int, how: str) -> None:
        live = self.far.live()
        if live:
            getattr(self.far, how)(live[pick % len(live)])

    @rule(twice=st.booleans())
    def deliver_events(self, twice: bool) -> None:
        context = self.context
        cloud = context.infrastructure(TYPE)
        for raw in self.far.take_events():
            event = cloud.parse_event(raw)
            for _ in range(1 + twice):
                if event is not None:
                    callbacks.hear(context, cloud, event)

    # what must hold after each step

    @invariant()
    def limits_hold(self) -> None:
        """However it came about, what is held grows only within the limit that is set."""
        pool = records.read(self.store, WorkPool, POOL)
        assert pool is not None
        entries = self.store.active(POOL)
        limited = deployment_named(self.context, "limited")
        queues = {queue.name: queue.concurrency_limit for queue in records.queues_of(self.store, POOL)}
        now = {"pool": len(entries), "narrow": sum(entry.queue == "narrow" for entry in entries)}
        now["limited"] = sum(entry.deployment_id == limited.id for entry in entries)
        set_to = {"pool": pool.concurrency_limit, "narrow": queues["narrow"], "limited": limited.concurrency_limit}
        for what, number in now.items():
            limit = set_to[what]
            assert limit is None or number <= max(limit, self.held.get(what, 0)), f"{what}: {number} of {limit}"
        self.held = now

    @invariant()
    def slots_match_runs(self) -> None:
        active = {run.id: run for run in self._runs() if run.is_active}
        entries = {entry.run_id: entry for entry in self.store.active(POOL)}
        assert entries.keys() == active.keys()
        for run_id, run in active.items():
            assert entries[run_id].slot == run.slots[0]
            assert all(self.store.held(slot.limit)[slot.name] == run_id for slot in run.slots[1:])

    @invariant()
    def nothing_is_started_twice(self) -> None:
        assert self.far.doubles() == []

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        for run in self._runs():
            if run.id in self.ended:
                assert (run.state, run.attempt) == (self.ended[run.id].state, self.ended[run.id].attempt)
            elif run.is_final:
                self.ended[run.id] = run

    def teardown(self) -> None:
        """Everything is resumed, containers behave: nothing is lost or stuck."""
        if not hasattr(self, "context"):
            return
        self._resume()
        for _ in range(80):
            for handle in self.far.live():
                self.far.finish(handle, 0)
            self.deliver_events(twice=False)
            self.dispatch(20)
            runs = self._runs()
            if all(run.is_final for run in runs):
                break
        stuck = [f"{run.deployment} {run.state}" for run in self._runs() if not run.is_final]
        assert not stuck
        assert not self.store.active(POOL)
        self.folder.close()

    def _resume(self) -> None:
        self.change_limit(2, "pool")
        self.change_limit(2, "narrow")
        self.change_limit(1, "limited")
        for what in ("pool", *QUEUES, *DEPLOYMENTS):
            self.pause(paused=False, what=what)

    def _runs(self) -> list[FlowRun]:
        return list(self.store.runs(RunFilter(), limit=200).items)

    def _any(self, pick: int) -> FlowRun | None:
        runs = self._runs()
        return runs[pick % len(runs)] if runs else None


Installation.TestCase.settings = settings(
    max_examples=250,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestInstallation = Installation.TestCase


class InstallationOnDynamoDB(Installation):
    """The same on DynamoDB Local; it takes ten times as long, so it is tried less often."""

    client: ClassVar[Any] = None

    def an_empty_store(self) -> Store:
        from adapters.stores.dynamodb import DynamoStore
        from adapters.stores.dynamodb.table import create_table

        name = f"state-machine-{uuid4().hex[:12]}"
        create_table(self.client, name, expiry=False)
        return DynamoStore(name, client=self.client)


@pytest.fixture
def _dynamodb_for_the_machine(dynamodb: Any) -> None:
    InstallationOnDynamoDB.client = dynamodb


InstallationOnDynamoDB.TestCase.settings = settings(
    Installation.TestCase.settings, max_examples=10, stateful_step_count=30
)
TestInstallationOnDynamoDB = pytest.mark.usefixtures("_dynamodb_for_the_machine")(InstallationOnDynamoDB.TestCase)


class InstallationOnFirestore(Installation):
    """The same on the Firestore emulator, a few times."""

    new_client: ClassVar[Any] = None

    def an_empty_store(self) -> Store:
        from adapters.stores.firestore import FirestoreStore

        client = type(self).new_client()
        return FirestoreStore(client.project, client=client)


@pytest.fixture
def _firestore_for_the_machine(new_firestore: Any) -> None:
    InstallationOnFirestore.new_client = staticmethod(new_firestore)


InstallationOnFirestore.TestCase.settings = settings(
    Installation.TestCase.settings, max_examples=6, stateful_step_count=30
)
TestInstallationOnFirestore = pytest.mark.usefixtures("_firestore_for_the_machine")(InstallationOnFirestore.TestCase)
