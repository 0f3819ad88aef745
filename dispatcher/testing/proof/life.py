"""One life of an installation: its people, its containers and its cloud play their parts, a round at a time.

Nothing of the script is kept by the processes that may be killed, so it can be cut anywhere and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dispatcher import records
from dispatcher.callbacks import Word
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.changes import deployment_named
from dispatcher.catalogue.queues import put_queue
from dispatcher.catalogue.schedules import set_schedule_active
from dispatcher.context import Context
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import OutboxEntry, RunFilter, Store
from dispatcher.runs import FlowRun
from dispatcher.testing.clock import START
from dispatcher.testing.proof.cast import POOL, POOL_LIMIT, QUEUE_LIMITS, ROLES
from dispatcher.testing.proof.far import Container, Far
from dispatcher.testing.proof.product import Answer, Died, Product
from dispatcher.testing.proof.shared_clock import SharedClock

ROUND = timedelta(seconds=20)
ROUNDS = 60
LAST_DATE_AFTER = 3  # rounds, in which schedules are active
FOR_EVER = timedelta(days=365)

Event = Mapping[str, Any]
# What becomes of the events on their way, by the number of the round.
Post = Callable[[Sequence[Event], int], Sequence[Event]]


def as_sent(events: Sequence[Event], number: int) -> Sequence[Event]:
    del number
    return events


@dataclass(slots=True)
class Life:
    """`context`: the proof's own view of the installation, whose store nobody disturbs.

    `claimed`: names of the containers that were let to start their command. `scheduled_until`: when schedules became
    inactive. `believed`: what was heard though it was stale.
    """

    context: Context
    far: Far
    product: Product
    clock: SharedClock
    roles: Sequence[str]
    post: Post = as_sent
    quiet: int = 0
    claimed: set[str] = field(default_factory=set)
    believed: list[str] = field(default_factory=list)
    scheduled_until: datetime = START
    _over: dict[str, float] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.context.store

    def prepare(self) -> None:
        """A pool, its queues, a deployment of each role, and the runs that are ordered."""
        now = self.clock.now()
        pool = WorkPool(
            name=POOL, type=self.far.type, created=now, updated=now, base_job_template=self.far.template,
            variables=self.far.variables, concurrency_limit=POOL_LIMIT,
        )  # fmt: skip
        records.write(self.store, pool)
        for name, limit in QUEUE_LIMITS.items():
            put_queue(self.context, POOL, name, WorkQueueForm(concurrency_limit=limit))
        for name in self.roles:
            form = DeploymentForm(pool=POOL, **ROLES[name].deployment, **self.far.job(name))
            deployments.put_deployment(self.context, name, form)
        for name in self.roles:
            for _ in range(ROLES[name].orders):
                flow_runs.create_run(self.context, name, RunForm())

    def live(self) -> None:
        """To its end, or for as many rounds as it may take."""
        for number in range(ROUNDS):
            try:
                self._round(number)
            except Died:
                self.clock.move(timedelta(seconds=1))
            else:
                self.clock.move(ROUND)
            self.far.settle()
            if number == LAST_DATE_AFTER:
                self._stop_scheduling()
            if number > LAST_DATE_AFTER and self._has_ended():
                owed = self.owed()
                if not owed and not self.far.left():
                    return
                self._wait_for(owed)

    def _round(self, number: int) -> None:
        """Containers speak, the cloud tells, people cancel, a tick is made."""
        for each in self.far.containers():
            if each.is_up and each.ended is None and number >= self.quiet:
                self._act(each)
        self.far.settle()
        for event in self.post(self.far.take_events(), number):
            self.product.call("hear", self.far.type, event)
        if "slow" in self.roles:
            self.product.call("cancel", "slow")
        self.product.tick()

    # containers

    def _act(self, it: Container) -> None:
        first = it.attempt == 1
        match it.deployment:
            case "mute":
                self._exit(it, 0)
            case _ if it.name not in self.claimed:
                self._claim(it)
            case "dies" if first:
                self._over.setdefault(it.name, self.far.seconds())
                self.far.crash(it.name)
            case "vanishes" if first:
                self._over.setdefault(it.name, self.far.seconds())
                self.far.forget(it.name)
            case "slow" | "overruns":
                self._beat(it)
            case _:
                self._end(it, 1 if it.deployment == "flaky" and first else 0)

    def _claim(self, it: Container) -> None:
        earlier = [each for each in self.far.containers() if each.run_id == it.run_id and each.attempt < it.attempt]
        for each in earlier:
            if self.product.call("say", each.token, Word.RUNNING, each.name, None).refused is None:
                self.believed.append(f"attempt {each.attempt} of {it.deployment} was let to start in {it.attempt}")
        answer = self.product.call("say", it.token, Word.RUNNING, it.name, None)
        if answer.refused is None:
            self.claimed.add(it.name)
            impostor = f"{it.name}, an impostor"
            if self.product.call("say", it.token, Word.RUNNING, impostor, None).refused is None:
                self.believed.append(f"attempt {it.attempt} of {it.deployment} was let to start twice")
            self.product.call("say", it.token, Word.COMPLETED, impostor, 0)
            for each in earlier:  # nor is the same container, if it were one, with what an earlier attempt was told
                self.product.call("say", each.token, Word.FAILED, it.name, 1)
        elif self._is_final(answer):
            self._exit(it, 75)

    def _end(self, it: Container, code: int) -> None:
        """The command is over, then its end is told, then the container exits."""
        self._over.setdefault(it.name, self.far.seconds())
        answer = self.product.call("say", it.token, Word.FAILED if code else Word.COMPLETED, it.name, code)
        if answer.refused is None or self._is_final(answer):
            self._exit(it, code)

    def _beat(self, it: Container) -> None:
        if self._is_final(self.product.call("beat", it.token, it.name)):
            self._exit(it, 75)

    def _exit(self, it: Container, code: int) -> None:
        self._over.setdefault(it.name, self.far.seconds())
        self.far.finish(it.name, code)

    def ran_until(self, it: Container) -> float:
        """When its command was over: it may have told so, and its slot be free, before the container has ended."""
        ended = self.far.seconds() if it.ended is None else it.ended
        return min(ended, self._over.get(it.name, ended))

    def _is_final(self, answer: Answer) -> bool:
        """Everything else is tried again."""
        return answer.refused in {"Conflict", "Unauthorized"}

    # the end

    def _has_ended(self) -> bool:
        """Every run has, and nothing is looked after any more."""
        return not self.store.active(POOL) and all(run.is_final for run in self.runs())

    def _wait_for(self, owed: Sequence[OutboxEntry]) -> None:
        """Until then no pass would find anything to do."""
        due = min((entry.due_at for entry in owed), default=self.clock.now())
        self.clock.move(max(timedelta(0), due - self.clock.now()))

    def owed(self) -> list[OutboxEntry]:
        return list(self.store.outbox_due(POOL, self.clock.now() + FOR_EVER, limit=100))

    def runs(self) -> list[FlowRun]:
        found: list[FlowRun] = []
        after: str | None = None
        while True:
            page = self.store.runs(RunFilter(), after=after, limit=200)
            found += page.items
            after = page.after
            if after is None:
                return found

    def _stop_scheduling(self) -> None:
        self.scheduled_until = self.clock.now()
        for name in self.roles:
            for schedule in deployment_named(self.context, name).schedules:
                set_schedule_active(self.context, name, schedule.id, active=False)
