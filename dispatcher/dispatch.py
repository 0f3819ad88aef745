"""One pass over a pool: look after what is overdue, admit what is due, submit it, record it. And one tick over all.

Invariant: a pass holds no state; killed anywhere, the next one goes on from the store alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from dispatcher import draining, outbox, pulses, records
from dispatcher.admitting import EVERYTHING, Admitted, Admitter, Selection
from dispatcher.context import Context
from dispatcher.errors import AdapterUnavailable
from dispatcher.late import notice_late
from dispatcher.logs import log
from dispatcher.materialise import WAKE_AHEAD, materialise
from dispatcher.pools import PoolPulse, WorkPool
from dispatcher.ports import ActiveEntry, Infrastructure
from dispatcher.settling import settle_all
from dispatcher.submitting import Submitter
from dispatcher.tending import Tender
from dispatcher.watch import LOOK_AHEAD

FORGETTING_EVERY = timedelta(minutes=10)
FORGOTTEN_AT_ONCE = 5000
MAX_HOPS = 10  # passes in a row that wake themselves


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over one pool did."""

    pool: str
    admitted: int = 0
    accepted: int = 0
    come_back: datetime | None = None
    more: bool = False


@dataclass(slots=True)
class Dispatcher:
    """Makes passes. Safe to run in any number of processes at once; keeps threads for submissions until `close`."""

    context: Context
    _threads: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    _forgot_at: datetime | None = None

    def close(self) -> None:
        for threads in self._threads.values():
            threads.shutdown(wait=True)

    def tick(self, *, until: datetime, pools: Iterable[str] = (), selection: Selection = EVERYTHING) -> list[Pass]:
        """Everything there is to do now, in every pool or in those named."""
        self.prepare(until)
        wanted: Iterable[str | WorkPool] = list(pools) or list(records.each(self.context.store, WorkPool))
        passes = [self._shielded(pool, until, selection) for pool in wanted]
        self.forget()
        return passes

    def _shielded(self, pool: str | WorkPool, until: datetime, selection: Selection) -> Pass:
        """A pass that goes wrong does not hold up those over other pools."""
        try:
            return self.over(pool, until=until, selection=selection)
        except Exception:  # noqa: BLE001  # the boundary between pools: what went wrong is in the log
            name = pool if isinstance(pool, str) else pool.name
            log.exception("pass failed", extra={"pool": name})
            return Pass(name)

    def forget(self) -> None:
        """Remove what was kept long enough, now and then; stores that forget by themselves have nothing left to do."""
        now = self.context.clock.now()
        if self._forgot_at is None or now >= self._forgot_at + FORGETTING_EVERY:
            self._forgot_at = now
            self.context.store.purge(now, limit=FORGOTTEN_AT_ONCE)

    def wake(self, pool: str, *, until: datetime, selection: Selection = EVERYTHING, hops: int = 0) -> Pass:
        """A pass that somebody asked for. It has the time to wait for a cloud's budget: no other pool waits for it."""
        self.prepare(until)
        return self.over(pool, until=until, selection=selection, hops=hops, paced=True)

    def prepare(self, until: datetime) -> None:
        """What concerns no single pool: dates become runs, changed deployments are brought into line."""
        for work in (materialise, settle_all):
            try:
                work(self.context, until=until)
            except Exception:  # noqa: BLE001  # what is due already does not depend on it; what went wrong is in the log
                log.exception("preparation failed", extra={"work": work.__name__})

    def over(
        self,
        which: str | WorkPool,
        *,
        until: datetime,
        selection: Selection = EVERYTHING,
        hops: int = 0,
        paced: bool = False,
    ) -> Pass:
        """One pass over one pool, by its name or as it was just read."""
        store, now = self.context.store, self.context.clock.now()
        pool = records.read(store, WorkPool, which) if isinstance(which, str) else which
        if pool is None:
            return Pass(str(which))
        name = pool.name
        try:
            infrastructure = self.context.infrastructure(pool.type)
        except AdapterUnavailable as exc:
            log.error("pool cannot be served", extra={"pool": name, "why": str(exc)})
            return Pass(name)
        pulse = pulses.pulse_of(store, name)
        away = pulses.was_away(pulse, self.context.patience, now)
        pulse = pulses.beat(store, pulse, now)
        entries = store.active(name)
        if Tender(self.context, infrastructure, away=away, until=until).tend(entries):
            entries = store.active(name)
        submitter = Submitter(self.context, infrastructure, self._threads_of(pool, infrastructure))
        make = partial(Admitter, self.context, infrastructure, submitter, selection, until=until, paced=paced)
        admitted = Admitted() if pool.deleted else self._admitted(make, pool, pulse, entries, now)
        if self._afterwards(pool, admitted, is_first_this_minute=pulse.last_pass == now, until=until):
            admitted.by(now)
        if pulse.circuit is not None or submitter.unavailable is not None:
            admitted.by(self._circuit_until(name))
        entries = store.active(name) if admitted.count else entries
        log.debug("pass made", extra={"pool": name, "active": len(entries), "admitted": admitted.count})
        return self._finish(name, admitted, submitter.accepted, entries, hops)

    def _admitted(
        self,
        make: Callable[..., Admitter],
        pool: WorkPool,
        pulse: PoolPulse,
        entries: Sequence[ActiveEntry],
        now: datetime,
    ) -> Admitted:
        """What was admitted and submitted, as far as the pool's circuit allows."""
        admit, room = pulses.may_admit(self.context.store, pulse, now)
        if not admit:
            return Admitted()
        admitter = make(room=room)
        try:
            admitted: Admitted = admitter.admit(pool, entries)
            admitter.submitter.drain()
        finally:
            admitter.submitter.abandon()
        if (spent := admitter.spent) is not None:
            pulses.used_up(self.context.store, pool.name, spent, now)
        self._circuit(pool.name, admitter.submitter, probed=room is not None)
        return admitted

    def _afterwards(self, pool: WorkPool, admitted: Admitted, *, is_first_this_minute: bool, until: datetime) -> bool:
        """True if there is more of it to do at once."""
        if is_first_this_minute:
            notice_late(self.context, pool.name, admitted.queues)
        is_more = outbox.work_off(self.context, pool.name, until=until)
        if pool.deleted:
            draining.drain(self.context, pool, until=until)
        return is_more

    def _threads_of(self, pool: WorkPool, infrastructure: Infrastructure) -> ThreadPoolExecutor:
        if pool.name not in self._threads:
            parallel = infrastructure.traits.parallel
            self._threads[pool.name] = ThreadPoolExecutor(parallel, thread_name_prefix=f"submit-{pool.name}")
        return self._threads[pool.name]

    def _circuit(self, pool: str, submitter: Submitter, *, probed: bool) -> None:
        if submitter.unavailable is not None:
            pulses.opened(self.context.store, pool, submitter.unavailable, self.context.clock.now())
        elif probed and submitter.answered:
            pulses.closed(self.context.store, pool)
            self.context.waker.wake(pool)

    def _finish(self, pool: str, admitted: Admitted, accepted: int, entries: Sequence[ActiveEntry], hops: int) -> Pass:
        """Ask for the next pass where something is known to come before the next tick."""
        now = self.context.clock.now()
        if admitted.more:
            if hops < MAX_HOPS:
                self.context.waker.wake(pool, hops=hops + 1)
            return Pass(pool, admitted.count, accepted, now, more=True)
        look_at = min((entry.check_at for entry in entries), default=None)
        times = [at for at in (admitted.come_back, look_at) if at is not None]
        # Beats put looks off all the time, and a wake for each would come for nothing: what is far off the tick sees.
        soon = [
            at for at, ahead in ((admitted.come_back, WAKE_AHEAD), (look_at, LOOK_AHEAD)) if at and at <= now + ahead
        ]
        if soon:
            self.context.waker.wake(pool, max(min(soon), now + timedelta(milliseconds=10)))
        return Pass(pool, admitted.count, accepted, min(times, default=None))

    def _circuit_until(self, pool: str) -> datetime | None:
        """When a probe is due. One that is overdue is not for us: another has it, or its pool is being deleted."""
        circuit = pulses.pulse_of(self.context.store, pool).circuit
        return circuit.until if circuit is not None and circuit.until > self.context.clock.now() else None
