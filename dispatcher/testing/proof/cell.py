"""One store and one infrastructure: a life for each place in which something may go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dispatcher.ports import Closing
from dispatcher.testing.clock import START
from dispatcher.testing.proof.far import CLOCK, Far, NewFar, Unsettled
from dispatcher.testing.proof.life import Life
from dispatcher.testing.proof.processes import Installation, Processes, Trip, processes
from dispatcher.testing.proof.promises import Breach, Promise, breaches
from dispatcher.testing.proof.shared_clock import SharedClock
from dispatcher.testing.proof.stores import NewStore
from dispatcher.testing.proof.trouble import EVENTS, FAULTS, post_of, quiet_of
from dispatcher.tokens import KeyRing


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a life: trouble with the cloud or its events, and one call at which it goes wrong."""

    trouble: str = "none"
    trip: Trip | None = None

    def __str__(self) -> str:
        return self.trouble if self.trip is None else f"{self.trouble},{self.trip.how},{self.trip.at}"

    @classmethod
    def parse(cls, text: str) -> Plan:
        """What `str` makes of one. :raises ValueError:"""
        trouble, *trip = text.split(",")
        return cls(trouble, Trip(int(trip[1]), trip[0]) if trip else None)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one life. `steps`: before and after every call, in order; `tripped`: where it went wrong."""

    plan: Plan
    steps: Sequence[str]
    tripped: str | None
    started: int
    breaches: Sequence[Breach]


@dataclass(frozen=True, slots=True)
class Cell:
    """`folder`: what it keeps. `roles`: who plays, names of `cast.ROLES`. `planted`: a bug of `planted.BUGS`."""

    folder: Path
    new_store: NewStore
    new_far: NewFar
    roles: Sequence[str]
    planted: str | None = None
    keys: str = field(default_factory=lambda: KeyRing.generate().to_text())

    def live(self, plan: Plan = Plan()) -> Told:
        """One life, on a new store."""
        with self._born(plan) as (life, product):
            life.prepare()
            try:
                life.live()
                found = breaches(life)
            except Unsettled as exc:
                found = [Breach(Promise.LOST, str(exc))]
            return Told(plan, product.steps, product.tripped, len(life.far.containers()), found)

    def troubles(self) -> list[str]:
        """What may go wrong with this infrastructure."""
        with closing(self.new_far()) as far:
            met = [name for name, those in FAULTS.items() if {kind for kind, _ in those} <= set(far.faults)]
            return [*met, *(EVENTS if self._installation(far).cloud().traits.pushes_events else ())]

    def _installation(self, far: Far) -> Installation:
        return Installation(
            self.new_store(), far.type, self.folder / CLOCK, self.keys, far.settings, far.environment, self.planted
        )

    @contextmanager
    def _born(self, plan: Plan) -> Iterator[tuple[Life, Processes]]:
        with ExitStack() as opened:
            clock = opened.enter_context(closing(SharedClock(self.folder / CLOCK)))
            clock.set(START)
            far = self.new_far()
            opened.callback(_close, far)
            for kind, times in FAULTS.get(plan.trouble, ()):
                far.fail_next(kind, times=times)
            where = self._installation(far)
            context = where.context()
            if isinstance(context.store, Closing):
                opened.callback(context.store.close)
            product = opened.enter_context(processes(where, plan.trip))
            yield Life(context, far, product, clock, self.roles, post_of(plan.trouble), quiet_of(plan.trouble)), product


def _close(far: Far) -> None:
    """What does not end has been told of as a breach."""
    with suppress(Unsettled):
        far.close()


def deaths(cell: Cell, *, trouble: str = "none", how: str = "killed", every: int = 1, first: int = 0) -> Iterator[Told]:
    """A life in which no call goes wrong, then one for each step of it, or each so many, at which one does."""
    whole = cell.live(Plan(trouble))
    yield whole
    for at in range(first, len(whole.steps), every):
        yield cell.live(Plan(trouble, Trip(at, how)))
