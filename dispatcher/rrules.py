"""Recurrence rules (RFC 5545), and the wall-clock times that they name.

Taken as Prefect takes them: RRULE, EXRULE, RDATE and EXDATE, and one DTSTART, which is 2020-01-01 when there
is none and which is a date only if a rule names it. All times are the wall clock of one timezone: the
schedule's, or that of a TZID. A time that says otherwise (`Z`, another TZID), which Prefect quietly reads
as that wall clock, is refused; only an UNTIL may be in UTC, as the RFC wants it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta

from dispatcher.errors import ScheduleError
from dispatcher.wall_clock import zone

MAX_LENGTH = 6500
_MAX_COUNT = 100_000  # each date of a rule with COUNT is counted from the first, every time
_MAX_EXCLUDED = 200_000  # in a row, a weekend of seconds; then there are no more dates
_MAX_RULES = 20  # each is tried, and walked along with the others
_IMPLICIT_START = datetime(2020, 1, 1)  # noqa: DTZ001 - wall-clock time

_FIXED_UNITS = {
    "SECONDLY": timedelta(seconds=1),
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
    "DAILY": timedelta(days=1),
    "WEEKLY": timedelta(weeks=1),
}
_MONTHS_IN = {"MONTHLY": 1, "YEARLY": 12}
_DAY_PARTS = ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYWEEKDAY", "BYEASTER")
# dateutil takes numbers outside these without a word, and searches for them in vain, or for ever.
_RANGES = {
    "INTERVAL": (1, 1_000_000),
    "COUNT": (1, _MAX_COUNT),
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYSECOND": (0, 59),
    "BYSETPOS": (-366, 366),
}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a text of rules says, in the wall-clock time of `timezone`."""

    timezone: str
    rules: tuple[_Rule, ...]
    excluded_rules: tuple[_Rule, ...]
    dates: tuple[datetime, ...]
    excluded_dates: tuple[datetime, ...]

    def wall_times(self, start: datetime) -> Iterator[datetime]:
        """The times from `start` on, ascending, each once, all of them naive."""
        excluded = _merged(self.excluded_rules, self.excluded_dates, start)
        hurdle, last, skipped = next(excluded, None), None, 0
        for wall in _merged(self.rules, self.dates, start):
            while hurdle is not None and hurdle < wall:
                hurdle, skipped = next(excluded, None), skipped + 1
                if skipped > _MAX_EXCLUDED:
                    return
            if wall not in (hurdle, last):
                yield wall
                last, skipped = wall, 0


def _merged(rules: Iterable[_Rule], dates: Iterable[datetime], start: datetime) -> Iterator[datetime]:
    later = sorted(date for date in dates if date >= start)
    return heapq.merge(later, *(rule.wall_times(start) for rule in rules))


@dataclass(frozen=True, slots=True)
class _Rule:
    """One RRULE or EXRULE: its parts, with UNTIL in wall-clock time, and where it begins."""

    parts: Mapping[str, str]
    start: datetime

    def wall_times(self, start: datetime) -> Iterator[datetime]:
        return (wall for wall in self.dates_near(start) if wall >= start)

    def check_fires(self) -> None:
        """It is tried at the end of the calendar, where dateutil, which searches on and on, soon gives up."""
        endless = {name: value for name, value in self.parts.items() if name not in ("COUNT", "UNTIL")}
        unit = _FIXED_UNITS.get(self.parts["FREQ"], timedelta.max)
        years = 50 if unit >= timedelta(hours=1) else 9
        try:
            first = next(_Rule(endless, self.start).dates_near(datetime(MAXYEAR - years, 1, 1)), None)  # noqa: DTZ001
        except (ValueError, IndexError) as exc:  # some impossible times are noticed only now
            raise _refused(f"{_text(self.parts)}: {exc}") from exc
        if first is None:
            raise _refused(f"{_text(self.parts)} never fires: it has no date in {years} years")

    def dates_near(self, near: datetime) -> Iterator[datetime]:
        from dateutil.rrule import rrulestr

        start = self.start if "COUNT" in self.parts else self._start_near(near)
        try:
            return iter(rrulestr(_text(self._with_days_spelled_out()), dtstart=start))
        except ValueError as exc:
            raise _refused(f"{_text(self.parts)}: {exc}") from exc

    def _with_days_spelled_out(self) -> dict[str, str]:
        """A MONTHLY or YEARLY rule takes its day from its start; with this it may start on another day."""
        parts = dict(self.parts)
        if parts["FREQ"] in _MONTHS_IN and not any(part in parts for part in _DAY_PARTS):
            if parts["FREQ"] == "YEARLY":
                parts.setdefault("BYMONTH", str(self.start.month))
            parts["BYMONTHDAY"] = str(self.start.day)
        return parts

    def _start_near(self, near: datetime) -> datetime:
        """In step with the real start, a period or more before `near`; dateutil walks on from there."""
        interval = int(self.parts.get("INTERVAL", "1"))
        unit = _FIXED_UNITS.get(self.parts["FREQ"])
        if unit is not None:
            periods = (near - self.start) // (unit * interval) - 2
            return self.start + max(0, periods) * interval * unit
        period_months = _MONTHS_IN[self.parts["FREQ"]] * interval
        months = (near.year - self.start.year) * 12 + near.month - self.start.month
        skipped = (months // period_months - 2) * period_months
        if skipped <= 0:
            return self.start
        years, month = divmod(self.start.month - 1 + skipped, 12)
        return self.start.replace(year=self.start.year + years, month=month + 1, day=1)


def parse(text: str, timezone: str) -> Recurrence:
    """:raises ScheduleError: saying which part cannot be used. A rule that has ended can."""
    lines = [_Line.of(token) for token in text.split()]
    timezone = _one_timezone(lines, timezone)
    zone(timezone)
    starts = _dates("DTSTART", lines, timezone)
    if len(starts) > 1:
        raise _refused(f"it has {len(starts)} DTSTARTs; leave one")
    start = starts[0] if starts else _IMPLICIT_START
    recurrence = Recurrence(
        timezone=timezone,
        rules=_rules("RRULE", lines, start, timezone),
        excluded_rules=_rules("EXRULE", lines, start, timezone),
        dates=_dates("RDATE", lines, timezone),
        excluded_dates=_dates("EXDATE", lines, timezone),
    )
    if not recurrence.rules and not recurrence.dates:
        raise _refused("it has no RRULE and no RDATE, and so no dates")
    return recurrence


def check(text: str, timezone: str) -> None:
    """`parse`, and each rule is tried.

    :raises ScheduleError: it cannot be used, or never fires.
    """
    if len(text) > MAX_LENGTH:
        raise _refused(f"it has {len(text)} characters; {MAX_LENGTH} is the most")
    recurrence = parse(text, timezone)
    rules = (*recurrence.rules, *recurrence.excluded_rules)
    if len(rules) > _MAX_RULES:
        raise _refused(f"it has {len(rules)} rules; {_MAX_RULES} is the most")
    if (count := sum(int(rule.parts.get("COUNT", "0")) for rule in rules)) > _MAX_COUNT:
        raise _refused(f"its COUNTs come to {count}; {_MAX_COUNT} is the most")
    for rule in rules:
        rule.check_fires()


@dataclass(frozen=True, slots=True)
class _Line:
    """`NAME;PARAM=…:value`."""

    name: str
    parameters: tuple[str, ...]
    value: str

    @classmethod
    def of(cls, token: str) -> _Line:
        head, colon, value = token.partition(":")
        if not colon:
            return cls("RRULE", (), token.upper())
        name, *parameters = head.split(";")
        if name.upper() not in ("DTSTART", "RRULE", "EXRULE", "RDATE", "EXDATE"):
            raise _refused(f"{name!r} is none of DTSTART, RRULE, EXRULE, RDATE and EXDATE")
        return cls(name.upper(), tuple(parameters), value.upper())

    @property
    def timezone(self) -> str | None:
        return next((p.partition("=")[2] for p in self.parameters if p.upper().startswith("TZID=")), None)


def _one_timezone(lines: Iterable[_Line], timezone: str) -> str:
    """A TZID stands where no timezone was given, which reads UTC; it may not contradict one that was."""
    said = {line.timezone for line in lines if line.timezone is not None}
    if timezone != "UTC":
        said.add(timezone)
    if len(said) > 1:
        raise _refused(f"it speaks of several timezones, {' and '.join(sorted(said))}; leave one")
    return said.pop() if said else timezone


def _dates(name: str, lines: Iterable[_Line], timezone: str) -> tuple[datetime, ...]:
    return tuple(_wall(name, text, timezone) for line in lines if line.name == name for text in line.value.split(","))


def _wall(name: str, text: str, timezone: str) -> datetime:
    """A date as the rule has it, in wall-clock time."""
    at = _parsed(name, text)
    if at.tzinfo is None:
        return at
    if name != "UNTIL" and timezone != "UTC":
        raise _refused(f"{name} {text} is in UTC, the timezone is {timezone}; give the time there, without Z")
    try:
        return at.astimezone(zone(timezone)).replace(tzinfo=None)
    except OverflowError as exc:
        raise _refused(f"{name} {text} is at the end of the calendar; leave it out") from exc


def _parsed(name: str, text: str) -> datetime:
    from dateutil.parser import isoparse

    try:
        return isoparse(text)
    except ValueError as exc:
        raise _refused(f"{name} {text!r} is no date; write it as 20260131T090000") from exc


def _rules(name: str, lines: Iterable[_Line], start: datetime, timezone: str) -> tuple[_Rule, ...]:
    return tuple(_Rule(_parts(line.value, timezone), start) for line in lines if line.name == name)


def _parts(text: str, timezone: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(";")]
    parts = {name: value for name, _, value in pairs}
    if "" in parts or "" in parts.values() or len(parts) < len(pairs):
        raise _refused(f"{text!r} is not made of different NAME=VALUE parts")
    if parts.get("FREQ") not in (*_FIXED_UNITS, *_MONTHS_IN):
        known = ", ".join((*_FIXED_UNITS, *_MONTHS_IN))
        raise _refused(f"FREQ is {parts.get('FREQ', 'missing')}; it is one of {known}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _refused("COUNT and UNTIL exclude each other; leave one")
    for name in _RANGES.keys() & parts.keys():
        _check_numbers(name, parts[name])
    _check_effort(parts)
    if "UNTIL" in parts:
        parts["UNTIL"] = f"{_wall('UNTIL', parts['UNTIL'], timezone):%Y%m%dT%H%M%S}"
    return parts


def _check_effort(parts: Mapping[str, str]) -> None:
    """Keeps from dateutil what it would try second by second, or without end."""
    if parts["FREQ"] == "SECONDLY" and ("BYHOUR" in parts or "BYMINUTE" in parts):
        raise _refused("SECONDLY takes no BYHOUR and BYMINUTE; write FREQ=MINUTELY with BYSECOND")
    if parts["FREQ"] in ("SECONDLY", "MINUTELY", "HOURLY") and "BYSETPOS" in parts:
        raise _refused(f"{parts['FREQ']} takes no BYSETPOS; write FREQ=DAILY, or the times themselves")


def _check_numbers(name: str, text: str) -> None:
    low, high = _RANGES[name]
    for number in text.split(",") if name.startswith("BY") else [text]:
        try:
            allowed = low <= int(number) <= high and (int(number) != 0 or low == 0)
        except ValueError:
            allowed = False
        if not allowed:
            raise _refused(f"{name} {number} is not in {low} to {high}" + (", 0 excepted" if low < 0 else ""))


def _text(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _refused(why: str) -> ScheduleError:
    return ScheduleError(f"rrule cannot be used: {why}", path="rrule")
