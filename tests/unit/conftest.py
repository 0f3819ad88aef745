"""An installation in memory, with a clock that is moved by hand; and a server on loopback that webhooks are sent to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dispatcher import callbacks, records
from dispatcher.admitting import EVERYTHING, Selection
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import deployments, flow_runs, pools, queues
from dispatcher.context import Context
from dispatcher.deployments import Deployment
from dispatcher.dispatch import Dispatcher, Pass
from dispatcher.forms import DeploymentForm, RunForm, ScheduleForm, WorkPoolForm, WorkQueueForm
from dispatcher.pools import WorkPool, WorkQueue
from dispatcher.ports import Infrastructure, RunFilter, Store, Traits
from dispatcher.runs import FlowRun, StateType
from dispatcher.testing.builders import POOL
from dispatcher.testing.clock import HandClock
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.memory import MemoryStore
from dispatcher.tokens import KeyRing, RunToken

KEYS = KeyRing({"k1": b"1" * 32, "k2": b"2" * 32}, "k1")
TEMPLATE: Mapping[str, Any] = {
    "job_configuration": {"fake": "{{ fake }}", "image": "{{ image }}", "command": "{{ command }}"},
    "variables": {
        "type": "object",
        "properties": {
            "fake": {"type": "object", "default": {}},
            "image": {"type": "string", "default": "job:1"},
            "command": {"default": "job"},
        },
    },
}


@dataclass
class Wakes:
    """A waker that only remembers what it was asked for."""

    asked: list[tuple[str, datetime | None, int]] = field(default_factory=list)

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        self.asked.append((pool, at, hops))

    def take(self) -> list[tuple[str, datetime | None, int]]:
        taken, self.asked = self.asked, []
        return taken


class Site:
    """One installation, with a pool that is called `pool` once `prepare` was called."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.store: Store = MemoryStore()
        self.far = FarSide(folder / "far.db", now=self.clock.now)
        self.cloud: Infrastructure = FakeCloud(self.far)
        self.wakes = Wakes()
        self.slept: list[float] = []
        self.context = Context(
            self.store, lambda _: self.cloud, self.wakes, KEYS, self.clock, "https://api.example", sleep=self._sleep
        )  # fmt: skip
        self._dispatchers: list[Dispatcher] = []

    def close(self) -> None:
        for dispatcher in self._dispatchers:
            dispatcher.close()
        self.far.close()

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.later(seconds)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def on(self, store: Store) -> Context:
        """The same installation as seen through another store."""
        return replace(self.context, store=store)

    def declare(self, **traits: Any) -> None:
        """From now on the cloud declares this of itself, true or not."""
        declared: Traits = replace(FakeCloud(self.far).traits, **traits)
        self.cloud = FakeCloud(self.far, traits=declared)

    # what people do

    def pool(self, name: str = POOL, **form: Any) -> WorkPool:
        form = {"type": "process", "base_job_template": dict(TEMPLATE), **form}
        return pools.put_pool(self.context, name, WorkPoolForm(**form)).value

    def queue(self, name: str, *, pool: str = POOL, **form: Any) -> WorkQueue:
        return queues.put_queue(self.context, pool, name, WorkQueueForm(**form)).value

    def deploy(self, name: str = "etl", *, pool: str = POOL, **form: Any) -> Deployment:
        schedules = [ScheduleForm(**schedule) for schedule in form.pop("schedules", [])]
        return deployments.put_deployment(
            self.context, name, DeploymentForm(pool=pool, schedules=schedules, **form)
        ).value

    def order(self, deployment: str = "etl", **form: Any) -> FlowRun:
        return flow_runs.create_run(self.context, deployment, RunForm(**form))[0]

    def cancel(self, run: FlowRun) -> FlowRun:
        return flow_runs.cancel_run(self.context, run.id)

    # what dispatchers do

    def dispatcher(self, context: Context | None = None) -> Dispatcher:
        self._dispatchers.append(Dispatcher(context or self.context))
        return self._dispatchers[-1]

    def over(self, pool: str = POOL, *, seconds: float = 60, selection: Selection = EVERYTHING, hops: int = 0) -> Pass:
        """One pass over one pool."""
        dispatcher = self._dispatchers[0] if self._dispatchers else self.dispatcher()
        return dispatcher.over(pool, until=self.now + timedelta(seconds=seconds), selection=selection, hops=hops)

    def woken(self, pool: str = POOL, *, seconds: float = 60, hops: int = 0) -> Pass:
        """A pass that somebody asked for."""
        dispatcher = self._dispatchers[0] if self._dispatchers else self.dispatcher()
        return dispatcher.wake(pool, until=self.now + timedelta(seconds=seconds), hops=hops)

    def tick(self) -> list[Pass]:
        dispatcher = self._dispatchers[0] if self._dispatchers else self.dispatcher()
        return dispatcher.tick(until=self.now + timedelta(seconds=60))

    def later(self, seconds: float) -> datetime:
        return self.clock.move(timedelta(seconds=seconds))

    # what containers and the cloud say

    def token(self, run: FlowRun, *, attempt: int | None = None) -> RunToken:
        return RunToken(run.id, run.attempt if attempt is None else attempt, self.now + timedelta(days=2))

    def say(
        self, run: FlowRun, word: Word, *, instance: str = "i-1", attempt: int | None = None, **fields: Any
    ) -> FlowRun:
        said = StateWord(state=word, instance=instance, **fields)
        return callbacks.say(self.context, self.token(run, attempt=attempt), said)

    def beat(self, run: FlowRun, *, instance: str = "i-1", attempt: int | None = None) -> Mapping[str, Any]:
        return callbacks.beat(self.context, self.token(run, attempt=attempt), instance)

    def hear(self) -> list[FlowRun]:
        """Deliver what the cloud has to tell by now; returns the runs that were changed by it."""
        events = [self.cloud.parse_event(raw) for raw in self.far.take_events()]
        heard = [callbacks.hear(self.context, self.cloud, event) for event in events if event is not None]
        return [run for run in heard if run is not None]

    # how things are

    def now_of(self, run: FlowRun) -> FlowRun:
        found = self.store.get_run(run.id)
        assert found is not None, f"run {run.id} is gone"
        return found

    def handle(self, run: FlowRun) -> str:
        current = self.now_of(run).current
        assert current is not None
        assert current.handle is not None
        return current.handle

    def runs(self, *types: StateType, **wanted: Any) -> list[FlowRun]:
        """Those in a state of one of `types`; without any, all of them."""
        return list(self.store.runs(RunFilter(types=frozenset(types), **wanted), limit=10_000).items)

    def deployment(self, name: str = "etl") -> Deployment:
        found = records.read(self.store, Deployment, name)
        assert found is not None, f"deployment {name} is gone"
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


class Receiver:
    """A server on loopback that keeps what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.refusals: list[int] = []  # the next answers, instead of `status`
        self.headers: Mapping[str, str] = {}
        self.is_endless = False  # an answer that never comes to its end
        self.requests: list[tuple[str, dict[str, str], bytes]] = []  # (path, headers, body)
        self.closed = threading.Event()

    @property
    def events(self) -> list[tuple[str, str]]:
        """(path, event) of each request."""
        return [(path, json.loads(body)["event"]) for path, _, body in self.requests]


def _serve(receiver: Receiver, host: str, family: socket.AddressFamily) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, dict(self.headers), body))
            self.send_response(receiver.refusals.pop(0) if receiver.refusals else receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(10**9 if receiver.is_endless else 0))
            self.end_headers()
            if receiver.is_endless:
                receiver.closed.wait(30)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        address_family = family

    server = Server((host, 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    shown = f"[{host}]" if ":" in host else host
    receiver.url = f"http://{shown}:{server.server_address[1]}/hook"
    return server


def _served(host: str, family: socket.AddressFamily) -> Iterator[Receiver]:
    made = Receiver()
    server = _serve(made, host, family)
    yield made
    made.closed.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from _served("127.0.0.1", socket.AF_INET)


@pytest.fixture
def receiver_on_ipv6() -> Iterator[Receiver]:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
    yield from _served("::1", socket.AF_INET6)
