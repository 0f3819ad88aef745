"""How fast a cloud lets itself be asked: budgets of calls that all dispatchers share, and waiting for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dispatcher.context import Context
from dispatcher.ports import Rate
from dispatcher.runs import Target


class Pace:
    """One pass's submissions at a cloud's rates. `waits`: the pass has the time to let a spent budget fill up."""

    def __init__(self, context: Context, rates: Sequence[Rate], *, waits: bool) -> None:
        self._context = context
        self._rates = rates
        self._waits = waits
        self._refilled_at: datetime | None = None
        self._in_vain = 0  # times in a row in which others had taken all

    @property
    def is_limited(self) -> bool:
        return bool(self._rates)

    def granted(self, target: Target, wanted: int, now: datetime) -> int:
        """How many may be submitted now; the budget is one for all that goes to that account and region."""
        budget = f"{target.type}/{target.account}/{target.region}/submit"
        granted = self._context.store.spend(budget, wanted, self._rates, now)
        self._in_vain = 0 if granted else self._in_vain + 1
        if granted < wanted:
            self._refilled_at = now + timedelta(seconds=_refill_seconds(self._rates))
        return granted

    def let_refill(self, until: datetime) -> datetime | None:
        """Wait for a spent budget, but not beyond `until`; or say when a pass had better come back for it.

        Who is granted nothing twice in a row leaves the field to the others.
        """
        at, self._refilled_at = self._refilled_at, None
        if at is None or not self._waits or self._in_vain > 1:
            return at
        self._context.sleep(max(0.0, (min(at, until) - self._context.clock.now()).total_seconds()))
        return None


def _refill_seconds(rates: Sequence[Rate]) -> float:
    """Until one call is allowed, or in a second's time several are: before a burst's worth is back and runs over."""
    return max(max(1.0, min(0.75 * rate.burst, rate.per_second)) / rate.per_second for rate in rates)
