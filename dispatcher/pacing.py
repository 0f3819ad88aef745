"""How fast a cloud lets itself be asked: budgets of calls that all dispatchers share, and waiting for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dispatcher.context import Context
from dispatcher.pools import Spent
from dispatcher.ports import Limit, Store, Window
from dispatcher.runs import Target


def granted(
    store: Store, call: str, target: Target, wanted: int, limits: Sequence[Limit], now: datetime
) -> tuple[int, datetime]:
    """How many such calls may be made now at that account and region, and if not all, when there is room again."""
    budget = _budget(call, target)
    taken = store.spend(budget, wanted, limits, now)
    return taken, now if taken >= wanted else store.room_at(budget, limits, now)


def _budget(call: str, target: Target) -> str:
    return f"{target.type}/{target.account}/{target.region}/{call}"


class Pace:
    """One pass's submissions at a cloud's rates. `waits`: the pass has the time to let a spent budget fill up."""

    def __init__(self, context: Context, limits: Sequence[Limit], *, waits: bool) -> None:
        self._context = context
        self._limits = limits
        self._waits = waits
        self._refilled_at: datetime | None = None
        self.spent: Spent | None = None  # the budget that was found used up last
        self._in_vain = 0  # times in a row in which others had taken all

    @property
    def is_limited(self) -> bool:
        return bool(self._limits)

    def granted(self, target: Target, wanted: int, now: datetime) -> int:
        """How many may be submitted there now."""
        taken, room_at = granted(self._context.store, "submit", target, wanted, self._limits, now)
        self._in_vain = 0 if taken else self._in_vain + 1
        if taken < wanted:
            self._refilled_at = min(room_at, self._refilled_at or room_at)
            self.spent = Spent(until=room_at, reason=_used_up(target, self._limits))
        return taken

    def give_back(self, target: Target, count: int, now: datetime) -> None:
        """What was granted there and is not submitted after all."""
        self._context.store.spend(_budget("submit", target), -count, self._limits, now)

    def let_refill(self, until: datetime) -> datetime | None:
        """Wait for a spent budget if it has room before `until`; or say when a pass had better come back for it.

        Who is granted nothing twice in a row leaves the field to the others.
        """
        at, self._refilled_at = self._refilled_at, None
        if at is None or at > until or not self._waits or self._in_vain > 1:
            return at
        self._context.sleep(max(0.0, (at - self._context.clock.now()).total_seconds()))
        return None


def _used_up(target: Target, limits: Sequence[Limit]) -> str:
    place = " ".join(part for part in (target.account, target.region) if part)
    return f"as many were started in {place or target.type} as may be: {', '.join(map(_words, limits))}"


def _words(limit: Limit) -> str:
    if isinstance(limit, Window):
        return f"{limit.calls} in {limit.within.total_seconds():g} s"
    return f"{limit.burst} at once, then {limit.per_second:g} a second"
