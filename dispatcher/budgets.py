"""How many calls a budget that is shared still allows, whichever store keeps it. Pure.

What a store keeps of a budget is one text, a part a rate: what is left of a `Rate`'s burst and since when, and the
calls of a `Window` by when they were made. Times are microseconds since 1970, as whole numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any

from dispatcher.ports import Limit, Rate, Window

GRAINS = 60  # calls of a window are counted in so many parts of it
_NEARLY = 1e-9  # ten refills of a tenth are one call, whatever floats make of it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000


def spent(saved: str | None, wanted: int, limits: Sequence[Limit], now: datetime) -> tuple[int, str | None]:
    """How many of `wanted` are allowed, every limit having room; and what is to be kept then, if that is something new.

    What is less than nothing is given back.
    """
    at = _micros(now)
    parts = list(_parts(saved, limits))
    taken = min([wanted, *(max(0, _left(limit, part, at)) for limit, part in parts)])
    if not taken:
        return 0, None
    return max(0, taken), json.dumps([_taken(limit, part, taken, at) for limit, part in parts], separators=(",", ":"))


def room_at(saved: str | None, limits: Sequence[Limit], now: datetime) -> datetime:
    """When every limit has room again: for one call, or for as many as come in a second's time."""
    at = _micros(now)
    return max([now, *(_EPOCH + timedelta(microseconds=_room(*part, at)) for part in _parts(saved, limits))])


def _parts(saved: str | None, limits: Sequence[Limit]) -> Iterator[tuple[Limit, Any]]:
    """Each limit with what was kept of it: None of one that is new, or that was of the other kind."""
    kept = json.loads(saved) if saved else []
    for limit, part in zip_longest(limits, kept[: len(limits)]):
        yield limit, part if isinstance(part, dict) is isinstance(limit, Window) else None


def _left(limit: Limit, part: Any, at: int) -> int:
    if isinstance(limit, Window):
        return limit.calls - sum(calls for _, calls in _counted(limit, part, at))
    return int(_level(limit, part, at)[0] + _NEARLY)


def _taken(limit: Limit, part: Any, taken: int, at: int) -> Any:
    if isinstance(limit, Window):
        return {"calls": _noted(limit, dict(_counted(limit, part, at)), taken, at)}
    left, since = _level(limit, part, at)
    return [min(float(limit.burst), max(0.0, left - taken)), since]


def _noted(window: Window, calls: dict[int, int], taken: int, at: int) -> list[tuple[int, int]]:
    """With those that are taken now; what is given back was taken last."""
    start = at // _grain(window) * _grain(window)
    calls[start] = calls.get(start, 0) + max(0, taken)
    back = max(0, -taken)
    for start in sorted(calls, reverse=True):
        given = min(back, calls[start])
        calls[start], back = calls[start] - given, back - given
    return [pair for pair in sorted(calls.items()) if pair[1]]


def _room(limit: Limit, part: Any, at: int) -> int:
    if isinstance(limit, Window):
        return _window_room(limit, _counted(limit, part, at)) or at
    left, since = _level(limit, part, at)
    worth = max(1.0, min(0.75 * limit.burst, limit.per_second))  # before a burst's worth is back and runs over
    return since + round(max(0.0, worth - left) / limit.per_second * _SECOND)


def _window_room(window: Window, counted: Sequence[tuple[int, int]]) -> int | None:
    """When the calls leave it that are one too many; None: there is room."""
    left = window.calls
    for start, calls in reversed(counted):
        left -= calls
        if left <= 0:
            return start + _grain(window) + _length(window)
    return None


def _level(rate: Rate, part: Any, at: int) -> tuple[float, int]:
    """What is left at that time. A caller whose clock is behind finds it as it was."""
    left, since = part or (float(rate.burst), at)
    seconds = max(0, at - since) / _SECOND
    return min(float(rate.burst), left + seconds * rate.per_second), max(at, since)


def _counted(window: Window, part: Any, at: int) -> list[tuple[int, int]]:
    """The calls that still count, by their grains' starts: each may have been made at the end of its grain."""
    oldest = at - _length(window) - _grain(window)
    return [(start, calls) for start, calls in (part or {"calls": ()})["calls"] if start > oldest]


def _length(window: Window) -> int:
    return round(window.within / timedelta(microseconds=1))


def _grain(window: Window) -> int:
    return max(1, _length(window) // GRAINS)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
