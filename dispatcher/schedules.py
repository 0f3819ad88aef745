"""When a deployment is due: cron, interval or recurrence rule, as dates in UTC.

What Prefect takes is taken, with Prefect's meaning, but for daylight saving time in cron, which is Debian's:
of jobs at a fixed time one that is skipped runs when the clocks are moved and one that is repeated runs once;
a job with a wildcard in minute or hour runs whenever the clocks show its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Any, TypeAlias, assert_never

from dispatcher import cron, rrules, wall_clock
from dispatcher.errors import ScheduleError

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """`day_or` False: where both day fields are restricted, both must match."""

    cron: str
    timezone: str = "UTC"
    day_or: bool = True


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """The anchor and every multiple of the interval from it, before it as well as after.

    Of 24 hours and more it keeps to the wall clock of `timezone`; a shorter one counts hours that pass.
    """

    interval: timedelta
    anchor: datetime
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class RRuleSchedule:
    """RFC 5545 as `rrules` takes it. A TZID in the rule stands for a timezone that reads UTC."""

    rrule: str
    timezone: str = "UTC"


Timing: TypeAlias = CronSchedule | IntervalSchedule | RRuleSchedule


def check(timing: Timing) -> None:
    """:raises ScheduleError: it cannot be read or never fires. One that has ended is well."""
    wall_clock.zone(timing.timezone)
    match timing:
        case CronSchedule():
            cron.parse(timing.cron, day_or=timing.day_or)
        case IntervalSchedule():
            _check_interval(timing)
        case RRuleSchedule():
            rrules.check(timing.rrule, timing.timezone)
        case _:
            assert_never(timing)


def next_dates(timing: Timing, after: datetime) -> Iterator[datetime]:
    """The dates later than `after`, in UTC, ascending. They end only if the rule does."""
    if after.tzinfo is None:
        raise ValueError(f"after is {after}, without a timezone; give an aware datetime")
    after = after.astimezone(UTC)
    match timing:
        case CronSchedule():
            return _cron_dates(timing, after)
        case IntervalSchedule(interval=interval) if interval < _DAY:
            return _elapsed_dates(timing, after)
        case IntervalSchedule():
            return _interval_dates(timing, after)
        case RRuleSchedule():
            return _rrule_dates(timing, after)
        case _:
            assert_never(timing)


def describe(timing: Timing) -> str:
    """One line for a person."""
    match timing:
        case CronSchedule():
            both = "" if timing.day_or else ", both day fields must match"
            return f"cron {timing.cron} ({timing.timezone}{both})"
        case IntervalSchedule():
            anchor = timing.anchor.astimezone(wall_clock.zone(timing.timezone)).isoformat(" ", "seconds")
            return f"every {_spoken(timing.interval)} from {anchor} ({timing.timezone})"
        case RRuleSchedule():
            return f"rrule {' '.join(timing.rrule.split())} ({timing.timezone})"
        case _:
            assert_never(timing)


def to_dict(timing: Timing) -> dict[str, Any]:
    """As JSON has it; `from_dict` takes it back."""
    match timing:
        case CronSchedule():
            return {"cron": timing.cron, "timezone": timing.timezone, "day_or": timing.day_or}
        case IntervalSchedule():
            seconds = timing.interval.total_seconds()
            return {
                "interval": int(seconds) if seconds.is_integer() else seconds,
                "anchor_date": timing.anchor.isoformat(),
                "timezone": timing.timezone,
            }
        case RRuleSchedule():
            return {"rrule": timing.rrule, "timezone": timing.timezone}
        case _:
            assert_never(timing)


def from_dict(document: Mapping[str, Any], *, default_anchor: datetime | None = None) -> Timing:
    """The keys and types must be right; whether it has dates, `check` says.

    An anchor without an offset is wall-clock time of the timezone; a missing one is `default_anchor`.

    :raises ScheduleError: naming the key.
    """
    kinds = [kind for kind in _KEYS if document.get(kind) is not None]
    if len(kinds) != 1:
        said = f"it has {' and '.join(kinds)}" if kinds else "it has none of them"
        raise ScheduleError(f"a schedule is one of cron, interval and rrule; {said}")
    fields = {key: value for key, value in document.items() if value is not None}
    for key, value in fields.items():
        _check_key(kinds[0], key, value)
    timezone = fields.get("timezone", "UTC")
    match kinds[0]:
        case "cron":
            return CronSchedule(fields["cron"], timezone, fields.get("day_or", True))
        case "interval":
            anchor = _anchor(fields.get("anchor_date"), timezone, default_anchor)
            return IntervalSchedule(_interval(fields["interval"]), anchor, timezone)
        case _:
            return RRuleSchedule(fields["rrule"], timezone)


_KEYS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "cron": {"cron": (str,), "timezone": (str,), "day_or": (bool,)},
    "interval": {"interval": (int, float), "anchor_date": (str, datetime), "timezone": (str,)},
    "rrule": {"rrule": (str,), "timezone": (str,)},
}


def _check_key(kind: str, key: str, value: object) -> None:
    types = _KEYS[kind].get(key)
    if types is None:
        known = ", ".join(_KEYS[kind])
        raise ScheduleError(f"{key!r} is no part of a schedule by {kind}; it takes {known}", path=key)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        wanted = {"interval": "a number of seconds", "anchor_date": "a date", "day_or": "true or false"}
        raise ScheduleError(f"{key} is {value!r}; it must be {wanted.get(key, 'text')}", path=key)


def _interval(seconds: float) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError) as exc:
        raise ScheduleError(f"interval is {seconds}; give a number of seconds", path="interval") from exc


def _anchor(value: str | datetime | None, timezone: str, default: datetime | None) -> datetime:
    if value is None and default is None:
        raise ScheduleError("anchor_date is missing; give the date to count from", path="anchor_date")
    try:
        anchor = datetime.fromisoformat(value) if isinstance(value, str) else value or default
    except ValueError as exc:
        way_out = "write it as 2026-01-31T09:00:00Z"
        raise ScheduleError(f"anchor_date is {value!r}; {way_out}", path="anchor_date") from exc
    assert anchor is not None
    return anchor if anchor.tzinfo else anchor.replace(tzinfo=wall_clock.zone(timezone))


def _check_interval(timing: IntervalSchedule) -> None:
    if timing.interval <= timedelta():
        seconds = timing.interval.total_seconds()
        raise ScheduleError(f"interval is {seconds:g} s; it must be more than 0", path="interval")
    if timing.anchor.tzinfo is None:
        raise ScheduleError(f"anchor_date {timing.anchor} has no offset; add Z or one", path="anchor_date")
    if not MINYEAR < timing.anchor.year < MAXYEAR:  # elsewhere it may be of a year that there is not
        years = f"{MINYEAR + 1} to {MAXYEAR - 1}"
        raise ScheduleError(f"anchor_date {timing.anchor} is of no year from {years}", path="anchor_date")


def _cron_dates(timing: CronSchedule, after: datetime) -> Iterator[datetime]:
    zone = wall_clock.zone(timing.timezone)
    expression = cron.parse(timing.cron, day_or=timing.day_or)
    reading = wall_clock.once_or_when_clocks_move if expression.fixed_time else wall_clock.whenever_clocks_show_it
    start = wall_clock.earliest_wall(after, zone).replace(microsecond=0)
    return wall_clock.instants(expression.wall_times(start), zone, reading, after=after)


def _elapsed_dates(timing: IntervalSchedule, after: datetime) -> Iterator[datetime]:
    anchor = timing.anchor.astimezone(UTC)
    return _multiples(anchor, timing.interval, (after - anchor) // timing.interval + 1)


def _interval_dates(timing: IntervalSchedule, after: datetime) -> Iterator[datetime]:
    zone = wall_clock.zone(timing.timezone)
    anchor = timing.anchor.astimezone(zone).replace(tzinfo=None)
    first = (wall_clock.earliest_wall(after, zone) - anchor) // timing.interval
    walls = _multiples(anchor, timing.interval, first)
    return wall_clock.instants(walls, zone, wall_clock.once, after=after)


def _rrule_dates(timing: RRuleSchedule, after: datetime) -> Iterator[datetime]:
    recurrence = rrules.parse(timing.rrule, timing.timezone)
    zone = wall_clock.zone(recurrence.timezone)
    walls = recurrence.wall_times(wall_clock.earliest_wall(after, zone))
    return wall_clock.instants(walls, zone, wall_clock.once, after=after)


def _multiples(anchor: datetime, interval: timedelta, first: int) -> Iterator[datetime]:
    n = first
    while True:
        try:
            yield anchor + n * interval
        except OverflowError:  # the end of the calendar
            return
        n += 1


def _spoken(interval: timedelta) -> str:
    """`1 d 2 h`; nothing is rounded away."""
    seconds = interval.total_seconds()
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:g} {unit}")
    if seconds or not parts:
        parts.append(f"{seconds:g} s")
    return " ".join(parts)
