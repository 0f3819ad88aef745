"""What the functions of an installation do when they are called, in processes that can really be killed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from dispatcher import callbacks
from dispatcher.admitting import Selection
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import flow_runs
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.ports import RunFilter
from dispatcher.runs import StateType

PASS = timedelta(minutes=1)


class Died(Exception):
    """The process was killed while it did this."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call. `refused`: the name of the error with which it was answered; None: it was done."""

    refused: str | None = None


class Product(Protocol):
    def call(self, name: str, *arguments: Any) -> Answer:
        """One of `Functions`' methods, somewhere. :raises Died: the process was killed meanwhile."""
        ...

    def tick(self) -> None:
        """Every process there is makes a pass, all at once; from now on another does what is called. :raises Died:"""
        ...


class Silent:
    """Every wake is lost: the tick alone must do."""

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None: ...


@dataclass(frozen=True, slots=True)
class Functions:
    """The API's, the events' and the dispatch function. What they raise is an error's answer."""

    context: Context

    def say(self, token: str, word: Word, instance: str, code: int | None) -> None:
        known = callbacks.authenticate(self.context, token)
        callbacks.say(self.context, known, StateWord(state=word, instance=instance, exit_code=code))

    def beat(self, token: str, instance: str) -> None:
        callbacks.beat(self.context, callbacks.authenticate(self.context, token), instance)

    def hear(self, kind: str, raw: Mapping[str, Any]) -> None:
        cloud = self.context.infrastructure(kind)
        event = cloud.parse_event(raw)
        if event is not None:
            callbacks.hear(self.context, cloud, event)

    def cancel(self, deployment: str) -> None:
        """Those of its runs that hold slots, whether or not they have started."""
        wanted = RunFilter(deployment=deployment, types=frozenset({StateType.PENDING, StateType.RUNNING}))
        for run in self.context.store.runs(wanted).items:
            flow_runs.cancel_run(self.context, run.id)

    def tick(self, queues: Collection[str] = ()) -> None:
        """`queues`: those that it serves; none: all."""
        dispatcher = Dispatcher(self.context)
        try:
            dispatcher.tick(until=self.context.clock.now() + PASS, selection=Selection(frozenset(queues)))
        finally:
            dispatcher.close()
