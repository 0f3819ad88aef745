"""What a crowd works on: a pool with a limit, three queues with limits of their own, and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Protocol

from dispatcher import records
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.queues import put_queue
from dispatcher.context import Context
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import Store
from dispatcher.runs import OnUnknown
from dispatcher.testing.fake_cloud import TYPE, FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.product import Silent
from dispatcher.tokens import KeyRing
from dispatcher.watch import Patience

POOL = "crowd"
LIMIT = 7
QUEUES: Mapping[str, int] = {"high": 4, "middle": 3, "low": 2}  # by priority; their sum is over the pool's limit
RUN_SECONDS = (0.1, 0.5)

_CREATORS = 4
_TEMPLATE = {
    "strict": True,
    "job_configuration": {
        "env": "{{ env }}",
        "fake": {"run_seconds": "{{ run_seconds }}", "group": "{{ group }}"},
    },
    "variables": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "env": {"type": "object"},
            "run_seconds": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "group": {"type": "string"},
        },
    },
}
# What a death has left is looked after within seconds.
_PATIENCE = Patience(events=timedelta(seconds=4), unreachable=timedelta(seconds=2), unnamed=timedelta(seconds=2))


class Opens(Protocol):
    """Where the store is, for any process."""

    def open(self) -> Store: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a crowd meets, for any process."""

    store: Opens
    far: Path
    commits: Path  # `Commits` of all
    troubles: Path  # what they log from warnings on
    keys: str

    @classmethod
    def at(cls, store: Opens, folder: Path) -> Ground:
        """With an empty cloud, and keys of its own."""
        keys = KeyRing.generate().to_text()
        return cls(store, folder / "far.db", folder / "commits.log", folder / "troubles.log", keys)

    def context(self, store: Store, far: FarSide, offset: timedelta = timedelta(0)) -> Context:
        """Everything in this process; its clock is off by `offset`."""
        cloud, keys = FakeCloud(far), KeyRing.parse(self.keys)
        return Context(
            store, lambda _: cloud, Silent(), keys, _Clock(offset), "http://127.0.0.1:4280", patience=_PATIENCE
        )


@dataclass(frozen=True, slots=True)
class _Clock:
    """The machine's, put forward or back."""

    offset: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset


def prepare(context: Context, runs: int, draw: Random) -> None:
    """The catalogue, and `runs` due runs whose containers end by themselves after a random time.

    The oldest, as many as the pool has room for, go on until they are told: so it is full once, however slow all is.
    """
    now = context.clock.now()
    pool = WorkPool(
        name=POOL, type=TYPE, created=now, updated=now, base_job_template=_TEMPLATE, concurrency_limit=LIMIT
    )
    records.write(context.store, pool)
    for priority, (queue, limit) in enumerate(QUEUES.items(), start=1):
        put_queue(context, POOL, queue, WorkQueueForm(priority=priority, concurrency_limit=limit))
        form = DeploymentForm(pool=POOL, queue=queue, job_variables={"group": queue}, on_unknown=OnUnknown.RETRY)
        deployments.put_deployment(context, queue, form)
    oldest = [queue for queue, limit in QUEUES.items() for _ in range(limit)][:LIMIT]
    for queue in oldest:
        _create(context, queue, None)
    queues = draw.choices(list(QUEUES), list(QUEUES.values()), k=runs - LIMIT)
    orders = [(queue, round(draw.uniform(*RUN_SECONDS), 3)) for queue in queues]
    with ThreadPoolExecutor(_CREATORS) as threads:
        list(threads.map(lambda order: _create(context, *order), orders))


def _create(context: Context, queue: str, seconds: float | None) -> None:
    flow_runs.create_run(context, queue, RunForm(job_variables={"run_seconds": seconds}))
