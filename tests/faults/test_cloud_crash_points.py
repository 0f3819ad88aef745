"""A dispatcher that dies before and after every call to the store and to a cloud: one container starts, and ends well.

The clouds are this machine's, with containers that really run; only the dispatcher's clock is moved by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher import records, registry
from dispatcher.catalogue import deployments, flow_runs, queues
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import Infrastructure
from dispatcher.runs import FlowRun, StateType
from dispatcher.testing.clock import HandClock
from dispatcher.testing.crashes import DiedError, Fuse, fused_cloud, fused_store
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.servers.azure import azure
from dispatcher.testing.servers.modal import modal
from dispatcher.tokens import KeyRing

POOL = "pool"
ROUNDS, ROUND = 60, timedelta(seconds=20)
PARTS = 2  # of the steps, so that several processes can share them
KEYS = KeyRing.generate()


@dataclass(frozen=True)
class Far:
    """A cloud of this machine. `left`: what it still keeps of runs that are over and have been cleaned up."""

    type: str
    variables: Mapping[str, Any]
    environment: Mapping[str, str]
    started: Callable[[str], list[str]]
    left: Callable[[], list[str]]


def an_azure(opened: ExitStack, folder: Path) -> Far:
    api = opened.enter_context(azure(folder))
    variables = {"subscription_id": api.subscription.id, "resource_group_name": api.resource_group}
    variables |= {"image": api.image, "region": api.region}
    return Far("azure-container-instance:push", variables, api.environment(), api.started, api.groups)


def a_modal(opened: ExitStack, folder: Path) -> Far:
    api = opened.enter_context(modal(folder))
    return Far("modal:push", {"image": api.image}, api.environment(), api.started, api.live)


@pytest.fixture(scope="module", params=[an_azure, a_modal], ids=["aci", "modal"])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    with ExitStack() as opened:
        yield request.param(opened, tmp_path_factory.mktemp("far"))


@pytest.fixture
def far(cloud: Far, monkeypatch: pytest.MonkeyPatch) -> Far:
    """The cloud to which this process's clients go."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    return cloud


class Silent:
    def wake(self, pool: str, at: object = None, *, hops: int = 0) -> None:
        """Every wake is lost: the tick alone must do."""


class Life:
    """One run, by dispatchers of which the first may die."""

    def __init__(self, far: Far) -> None:
        self.far, self.store, self.clock = far, MemoryStore(), HandClock()
        self.cloud: Infrastructure = registry.infrastructure(far.type, {})
        context = self._context(Fuse())
        now, template = self.clock.now(), registry.template(far.type)
        pool = WorkPool(
            name=POOL, type=far.type, created=now, updated=now, base_job_template=template,
            variables={**far.variables, "runner": False}, concurrency_limit=1,
        )  # fmt: skip
        records.write(self.store, pool)
        queues.put_queue(context, POOL, "default", WorkQueueForm())
        deployments.put_deployment(context, "job", DeploymentForm(pool=POOL, command=["true"]))
        self.id = flow_runs.create_run(context, "job", RunForm())[0].id

    def _context(self, fuse: Fuse) -> Context:
        store, cloud = fused_store(self.store, fuse), fused_cloud(self.cloud, fuse)
        return Context(store, lambda _: cloud, Silent(), KEYS, self.clock, "http://127.0.0.1:4280")

    def run(self) -> FlowRun:
        found = self.store.get_run(self.id)
        assert found is not None
        return found

    def lived(self, step: int | None = None) -> list[str]:
        """The steps of it, up to the one at which the first dispatcher died."""
        fuse = Fuse(step)
        for _ in range(ROUNDS):
            try:
                self._tick(fuse)
            except DiedError:
                break
            if self._is_over():
                return fuse.steps
        for _ in range(ROUNDS):
            self._tick(Fuse())
            if self._is_over():
                return fuse.steps
        raise AssertionError(f"died {fuse.steps[-1:]}, and is not over: {self.run()}; left {self.far.left()}")

    def _tick(self, fuse: Fuse) -> None:
        dispatcher = Dispatcher(self._context(fuse))
        try:
            dispatcher.tick(until=self.clock.now() + timedelta(minutes=2))
        finally:
            dispatcher.close()
        self.clock.move(ROUND)
        time.sleep(0.005)  # containers take their time

    def _is_over(self) -> bool:
        return self.run().is_final and not self.far.left()

    def close(self) -> None:
        getattr(self.cloud, "close", lambda: None)()


def checked(far: Far, step: int | None = None) -> list[str]:
    life = Life(far)
    try:
        steps = life.lived(step)
        died = steps[-1] if step is not None else "never"
        assert (died, life.run().state.type, life.run().attempt) == (died, StateType.COMPLETED, 1)
        assert (died, len(far.started(life.id))) == (died, 1)
        assert (died, list(life.store.active(POOL))) == (died, [])
    finally:
        life.close()
    return steps


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_step_starts_one_container_and_leaves_nothing(far: Far, part: int) -> None:
    steps = checked(far)

    assert {"before submit", "after submit", "after admit"} <= set(steps)
    for step in range(part, len(steps), PARTS):
        checked(far, step)
