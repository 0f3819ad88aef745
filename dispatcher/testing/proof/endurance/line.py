"""The work of an endurance run: runs are created, started by a pass, and their containers say what they do.

What each part of it costs is counted in CPU seconds, so that a busy machine changes little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from dispatcher import callbacks, records
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.queues import put_queue
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import DEFAULT_QUEUE, WorkPool
from dispatcher.ports import Infrastructure, Store
from dispatcher.runs import FlowRun
from dispatcher.testing.fake_cloud import TYPE
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.product import Silent
from dispatcher.tokens import KeyRing
from dispatcher.wiring import WallClock

T = TypeVar("T")

POOL = "line"
DEPLOYMENTS = 10
TAGS = 10
ONCE = "once"  # deployment, queue and tag of the first `FIRST` runs, and of none after them
FIRST = 10
PASS = timedelta(minutes=10)

_TEMPLATE = {
    "strict": True,
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"command": {"type": "string", "default": "job"}, "env": {"type": "object"}},
    },
}


@dataclass(slots=True)
class Line:
    """`spent`: what was done → CPU seconds each time, oldest first."""

    context: Context
    far: FarSide
    dispatcher: Dispatcher
    spent: dict[str, list[float]] = field(default_factory=dict)
    _number: int = 0

    @classmethod
    def on(cls, store: Store, far: FarSide, cloud: Infrastructure, *, limit: int) -> Line:
        """The catalogue is made; the pool has that limit."""
        context = Context(store, lambda _: cloud, Silent(), KeyRing.generate(), WallClock(), "http://127.0.0.1:4280")
        now = context.clock.now()
        pool = WorkPool(
            name=POOL, type=TYPE, created=now, updated=now, base_job_template=_TEMPLATE, concurrency_limit=limit
        )
        records.write(store, pool)
        put_queue(context, POOL, DEFAULT_QUEUE, WorkQueueForm())
        deployments.put_deployment(context, ONCE, DeploymentForm(pool=POOL, queue=ONCE, tags=[ONCE]))
        for number in range(DEPLOYMENTS):
            deployments.put_deployment(context, f"job-{number}", DeploymentForm(pool=POOL))
        return cls(context, far, Dispatcher(context))

    def create(self, runs: int) -> list[FlowRun]:
        return self._timed("creating a run", lambda: [self._created() for _ in range(runs)], runs)

    def work_off(self, runs: int) -> None:
        """What was created comes to its end, in one pass."""
        self._timed("a pass, by run", self._pass, runs)
        self._timed("a container's words", self._live, runs)
        self._timed("a pass with nothing to do", self._pass, 1)

    def _created(self) -> FlowRun:
        self._number += 1
        deployment = ONCE if self._number <= FIRST else f"job-{self._number % DEPLOYMENTS}"
        form = RunForm(parameters={"number": self._number}, tags=[f"tag-{self._number % TAGS}"])
        return flow_runs.create_run(self.context, deployment, form)[0]

    def _pass(self) -> None:
        self.dispatcher.tick(until=self.context.clock.now() + PASS)

    def _live(self) -> None:
        for handle in self.far.live():
            token = callbacks.authenticate(self.context, self.far.environment(handle)["PUSHPOOL_RUN_TOKEN"])
            for word, code in ((Word.RUNNING, None), (Word.COMPLETED, 0)):
                callbacks.say(self.context, token, StateWord(state=word, instance=handle, exit_code=code))
            self.far.finish(handle)

    def _timed(self, what: str, work: Callable[[], T], times: int) -> T:
        began = time.process_time()
        result = work()
        self.spent.setdefault(what, []).append((time.process_time() - began) / times)
        return result
