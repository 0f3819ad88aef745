"""Wall-clock times of a timezone, and the instants that they stand for, clocks being put forward and back."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from dispatcher.errors import ScheduleError

Reading = Callable[[datetime, ZoneInfo], list[datetime]]  # a wall-clock time's instants: none, one or two

_DAY = timedelta(days=1)  # no clock was ever put back or forward by more


def zone(name: str) -> ZoneInfo:
    """:raises ScheduleError: with names that look like it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name; a path; a directory such as `Europe`
        near = get_close_matches(name, available_timezones(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "take an IANA name such as Europe/Paris"
        raise ScheduleError(f"timezone {name!r} is unknown; {hint}", path="timezone") from None


def once(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """RFC 5545: a skipped time is moved on by what was skipped, a repeated one is its first."""
    return [_first_and_second(wall, zone)[0]]


def once_or_when_clocks_move(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Debian's cron at fixed times: a skipped time is when the clocks move, a repeated one is its first."""
    first, second = _first_and_second(wall, zone)
    return [first] if first <= second else [_moved_between(second, first, zone)]


def whenever_clocks_show_it(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Debian's cron with wildcards: a skipped time is no time, a repeated one is two."""
    first, second = _first_and_second(wall, zone)
    if first > second:
        return []
    return [first] if first == second else [first, second]


def earliest_wall(after: datetime, zone: ZoneInfo) -> datetime:
    """No wall-clock time before this one stands for an instant after `after`."""
    offsets = [_offset(at, zone) for at in (after - _DAY, after, after + _DAY)]
    return after.astimezone(zone).replace(tzinfo=None) - (max(offsets) - min(offsets))


def instants(walls: Iterable[datetime], zone: ZoneInfo, reading: Reading, *, after: datetime) -> Iterator[datetime]:
    """The instants after `after` of ascending wall-clock times: ascending too, each once, in UTC."""
    waiting: list[datetime] = []
    last = after
    for wall in walls:
        for instant in reading(wall, zone):
            heapq.heappush(waiting, instant)
        passed = min(_first_and_second(wall, zone))  # later walls stand for nothing earlier
        while waiting and waiting[0] <= passed:
            instant = heapq.heappop(waiting)
            if instant > last:
                yield instant
                last = instant
    yield from (i for i in sorted(set(waiting)) if i > last)


def _first_and_second(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Equal for most times; the first is earlier if the time is repeated, and later if it is skipped."""
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    return first.astimezone(UTC), second.astimezone(UTC)


def _moved_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the clocks were moved, later than `before` and not later than `after`."""
    moved = _offset(after, zone)
    seconds_low, seconds_high = 0, round((after - before).total_seconds())
    while seconds_high - seconds_low > 1:
        middle = (seconds_low + seconds_high) // 2
        if _offset(before + timedelta(seconds=middle), zone) == moved:
            seconds_high = middle
        else:
            seconds_low = middle
    return before + timedelta(seconds=seconds_high)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
