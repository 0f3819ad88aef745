"""What the measurements share: an installation, a cloud that answers at once, and the table that they make."""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from adapters.stores.sqlite import open_store
from dispatcher import records
from dispatcher.catalogue import deployments
from dispatcher.catalogue.queues import put_queue
from dispatcher.context import Context
from dispatcher.forms import DeploymentForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import (
    Accepted,
    Event,
    Job,
    Observation,
    Outcome,
    Phase,
    Request,
    Store,
    Submission,
    Traits,
    Waker,
)
from dispatcher.runs import Target
from dispatcher.tokens import KeyRing
from dispatcher.wiring import WallClock

POOL, DEPLOYMENT = "bench", "job"
TEMPLATE = {
    "strict": True,
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "command": {"type": "string", "default": "job"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}
# The peak of this process alone, in KiB; what getrusage tells is its parent's too.
PEAK = """
def peak():
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `mark`: what DESIGN asks for."""

    what: str
    measured: str
    mark: str = ""


class Instant:
    """An infrastructure that accepts at once and remembers when it was asked."""

    def __init__(self) -> None:
        self.traits = Traits(parallel=8)
        self.submitted: dict[str, float] = {}
        self.tokens: dict[str, str] = {}
        self.heard = threading.Condition()

    def request(self, job: Job) -> Request:
        body = {"configuration": dict(job.configuration), "environment": dict(job.environment)}
        return Request(Target("instant"), body)

    def submit(self, submission: Submission) -> Outcome:
        with self.heard:
            self.submitted[submission.run_id] = time.perf_counter()
            self.tokens[submission.run_id] = submission.token
            self.heard.notify_all()
        return Accepted(submission.run_id)

    def wait_for(self, run_id: str) -> float:
        with self.heard:
            if not self.heard.wait_for(lambda: run_id in self.submitted, timeout=10):
                raise TimeoutError(f"run {run_id} was not submitted")
            return self.submitted[run_id]

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        return Observation(phase=Phase.RUNNING, handle=run_id) if run_id in self.submitted else None

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        return {handle: Observation(phase=Phase.RUNNING, handle=handle) for handle in handles}

    def cancel(self, target: Target, handle: str) -> None: ...

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        return {}

    def cleanup(self, target: Target, handle: str) -> None: ...

    def parse_event(self, raw: Mapping[str, Any]) -> Event | None:
        return None

    def diagnose(self, configuration: Mapping[str, Any]) -> Sequence[tuple[str, bool, str]]:
        return []


class NoWakes:
    """For measurements that make their passes themselves."""

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None: ...


@dataclass(slots=True)
class Counting:
    """A store and how often each of its methods was called."""

    behind: Store
    calls: dict[str, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.behind, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] = self.calls.get(name, 0) + 1
            return found(*args, **kwargs)

        return counted


@dataclass(slots=True)
class Installation:
    context: Context
    cloud: Instant
    store: Counting


@contextmanager
def installation(waker: Waker, *, limit: int | None = None) -> Iterator[Installation]:
    """A pool, a queue and a deployment on a new SQLite file."""
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder:
        cloud = Instant()
        store: Any = Counting(open_store(str(Path(folder) / "bench.db")))
        context = installed(store, cloud, waker, limit=limit)
        store.calls.clear()
        yield Installation(context, cloud, store)


def installed(store: Store, cloud: Instant, waker: Waker | None = None, *, limit: int | None = None) -> Context:
    """A pool, a queue and a deployment in `store`."""
    context = context_of(store, cloud, waker)
    now = context.clock.now()
    pool = WorkPool(
        name=POOL, type="instant", created=now, updated=now, base_job_template=TEMPLATE, concurrency_limit=limit
    )
    records.write(store, pool)
    put_queue(context, POOL, "default", WorkQueueForm())
    deployments.put_deployment(context, DEPLOYMENT, DeploymentForm(pool=POOL))
    return context


def context_of(store: Store, cloud: Instant, waker: Waker | None = None) -> Context:
    ring = KeyRing.generate()
    return Context(store, lambda _: cloud, waker or NoWakes(), ring, WallClock(), "http://127.0.0.1:4280")


def median_ms(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    high = ordered[int(len(ordered) * 0.95)]
    return f"{statistics.median(ordered) * 1000:.1f} ms median, {high * 1000:.1f} ms 95th of 100"


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def shown(title: str, rows: Iterable[Row], *, on: str = "", width: int = 160) -> None:
    """Measured and printed as one table. `on`: what it was measured on, beside this machine."""
    console = Console(width=None if sys.stdout.isatty() else width)
    table = Table("What", "Measured", "Mark", title=f"{title}, on this machine", title_justify="left")
    with console.status("measuring"):
        for row in rows:
            table.add_row(row.what, row.measured, row.mark)
    console.print(table)
    console.print(", ".join(filter(None, [f"Python {platform.python_version()}", on, platform.platform()])))
