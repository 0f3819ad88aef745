"""Passes on this machine, for a laptop: the tick, the wakes, and the ends that local infrastructure tells of.

Invariant: it holds no state; any number of agents may share one store, and any of them may die at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from dispatcher import callbacks, records
from dispatcher.admitting import EVERYTHING, Selection
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher, Pass
from dispatcher.errors import PushpoolError
from dispatcher.logs import log
from dispatcher.pools import WorkPool
from dispatcher.ports import Closing, Event, Infrastructure, Watching

TICK = timedelta(seconds=60)
PASS = timedelta(minutes=5)


class Host(Protocol):
    """Where callbacks come in: serves them if nobody on this machine does."""

    def ensure(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Which pools an agent serves, and what of them; no names mean all."""

    pools: frozenset[str] = frozenset()
    selection: Selection = EVERYTHING


class Agent:
    """Makes a pass over a pool whenever one is asked for, and over all of them every minute."""

    def __init__(self, context: Context, scope: Scope, host: Host | None = None) -> None:
        self._context = context
        self._scope = scope
        self._host = host
        self._dispatcher = Dispatcher(context)

    def over(self, pool: str, hops: int) -> None:
        """One pass that a wake asked for."""
        if self._scope.pools and pool not in self._scope.pools:
            return
        until = self._context.clock.now() + PASS
        self._dispatcher.wake(pool, until=until, selection=self._scope.selection, hops=hops)

    def tick(self) -> None:
        """Dates become runs, and every pool gets a pass."""
        if self._host is not None:
            self._host.ensure()
        self._dispatcher.prepare(self._context.clock.now() + PASS)
        for pool in self._pools():
            self._context.waker.wake(pool)
        self._dispatcher.forget()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; nothing that goes wrong in a tick ends it."""
        while not stop.is_set():
            try:
                self.tick()
            except PushpoolError as exc:
                log.error("tick failed", extra={"why": str(exc)})
            stop.wait(TICK.total_seconds())

    def run_once(self, stop: threading.Event) -> list[Pass]:
        """One pass over each pool; then wait until what is active has ended, so that its words are heard."""
        if self._host is not None:
            self._host.ensure()
        until = self._context.clock.now() + PASS
        passes = self._dispatcher.tick(until=until, pools=self._pools(), selection=self._scope.selection)
        while not stop.is_set() and any(self._context.store.active(pool) for pool in self._pools()):
            stop.wait(0.2)
        return passes

    def close(self) -> None:
        self._dispatcher.close()
        if self._host is not None:
            self._host.close()

    def _pools(self) -> list[str]:
        names = [pool.name for pool in records.each(self._context.store, WorkPool)]
        return [name for name in names if not self._scope.pools or name in self._scope.pools]


class Watched:
    """Pool type → its adapter, loaded on first use; those that can watch report the ends they see."""

    def __init__(self, context: Callable[[], Context], load: Callable[[str], Infrastructure]) -> None:
        self._context, self._load = context, load
        self._loaded: dict[str, Infrastructure] = {}
        self._guard = threading.Lock()

    def __call__(self, kind: str) -> Infrastructure:
        with self._guard:
            if kind not in self._loaded:
                infrastructure = self._loaded[kind] = self._load(kind)
                if isinstance(infrastructure, Watching):
                    infrastructure.watch(lambda event: _hear(self._context(), infrastructure, event))
            return self._loaded[kind]

    def close(self) -> None:
        for infrastructure in self._loaded.values():
            if isinstance(infrastructure, Closing):
                infrastructure.close()


def _hear(context: Context, infrastructure: Infrastructure, event: Event) -> None:
    try:
        callbacks.hear(context, infrastructure, event)
    except PushpoolError as exc:
        log.error("event not applied", extra={"run": event.run_id, "attempt": event.attempt, "why": str(exc)})
