"""How many calls a budget that is shared still allows, whichever store keeps it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from dispatcher.ports import Rate

Level: TypeAlias = tuple[float, datetime]  # how many calls were left, and when that was

_NEARLY = 1e-9  # ten refills of a tenth are one call, whatever floats make of it


def spent(saved: Sequence[Level], wanted: int, rates: Sequence[Rate], now: datetime) -> tuple[int, list[Level]]:
    """How many of `wanted` are allowed, and what is left then: of each rate, a bucket of `burst` calls.

    `saved`: what was left before; a rate without it has its burst.
    """
    full = [(float(rate.burst), now) for rate in rates[len(saved) :]]
    levels = [_refilled(rate, *level, now) for rate, level in zip(rates, [*saved, *full], strict=False)]
    taken = max(0, min([wanted, *(int(left + _NEARLY) for left, _ in levels)]))
    return taken, [(max(0.0, left - taken), since) for left, since in levels]


def _refilled(rate: Rate, left: float, since: datetime, now: datetime) -> Level:
    """The level at `now`. A caller whose clock is behind finds it as it was."""
    seconds = max(0.0, (now - since).total_seconds())
    return min(float(rate.burst), left + seconds * rate.per_second), max(now, since)
