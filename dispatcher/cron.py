"""Cron expressions, and the wall-clock times that match them. Timezones are not known here.

The grammar is Prefect's, which is croniter's: five fields, or six with the seconds *last*; lists, ranges that
may wrap (`fri-mon`), steps, names, `L` (last day), `L5` (last Friday), `5#2` (second Friday), `?`, @-words.
Where neither day field is `*` or `?`, a date that matches one of them is enough, unless `day_or` is False.
Terms that croniter reads unlike every other cron, or at odds with itself, are refused rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, time, timedelta

from dispatcher.errors import ScheduleError

MAX_LENGTH = 1000

_WORDS: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_TERM = re.compile(r"(?P<first>\*|[a-z0-9]+)(-(?P<last>[a-z0-9]+))?(/(?P<step>[0-9]+))?")
_ANY = ("*", "?")
_LAST = -1  # the last day of the month, or the last such weekday in it

# 29 February on a given weekday comes back within 40 years, whatever the century; nothing is rarer.
_PATIENCE_YEARS = 50


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 6, _WEEKDAYS)
_SECOND = _Field("second", 0, 59)


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression as sets of numbers; weekdays count from Sunday = 0."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    either_day: bool  # matching one of the two day fields is enough
    fixed_time: bool  # neither minute nor hour starts with `*`: what Debian's cron calls no wildcard job

    def wall_times(self, start: datetime) -> Iterator[datetime]:
        """The matching times from `start` on, naive, ascending; they end after 50 years without one."""
        for day in self._dates(start.date()):
            earliest = start.time() if day == start.date() else time.min
            for moment in self._times(earliest):
                yield datetime.combine(day, moment)

    def _dates(self, first: date) -> Iterator[date]:
        day, given_up = first, first.year + _PATIENCE_YEARS
        while day.year < min(given_up, MAXYEAR):
            if day.month not in self.months:
                day = _next_month(day)
                continue
            if self._matches(day):
                yield day
                given_up = day.year + _PATIENCE_YEARS
            day += timedelta(days=1)

    def _times(self, earliest: time) -> Iterator[time]:
        hour_0, minute_0, second_0 = earliest.hour, earliest.minute, earliest.second
        for hour in (h for h in self.hours if h >= hour_0):
            first_minute = minute_0 if hour == hour_0 else 0
            for minute in (m for m in self.minutes if m >= first_minute):
                first_second = second_0 if (hour, minute) == (hour_0, minute_0) else 0
                yield from (time(hour, minute, s) for s in self.seconds if s >= first_second)

    def _matches(self, day: date) -> bool:
        of_month, of_week = self._matches_day_of_month(day), self._matches_weekday(day)
        return of_month or of_week if self.either_day else of_month and of_week

    def _matches_day_of_month(self, day: date) -> bool:
        return day.day in self.days or (_LAST in self.days and (day + timedelta(days=1)).day == 1)

    def _matches_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays or (weekday, (day.day + 6) // 7) in self.nth_weekdays:
            return True
        return (weekday, _LAST) in self.nth_weekdays and (day + timedelta(days=7)).month != day.month


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def parse(expression: str, *, day_or: bool = True) -> Cron:
    """:raises ScheduleError: naming the field and the value that cannot be read; or it never fires."""
    minute, hour, day, month, weekday, second = _fields(expression)
    cron = Cron(
        seconds=tuple(sorted(_numbers(second, _SECOND, expression))),
        minutes=tuple(sorted(_numbers(minute, _MINUTE, expression))),
        hours=tuple(sorted(_numbers(hour, _HOUR, expression))),
        days=frozenset(_days_of_month(day, expression)),
        months=frozenset(_numbers(month, _MONTH, expression)),
        weekdays=frozenset(_plain_weekdays(weekday, expression)),
        nth_weekdays=frozenset(_nth_weekdays(weekday, expression)),
        either_day=day_or and day not in _ANY and weekday not in _ANY,
        fixed_time=not minute.startswith("*") and not hour.startswith("*"),
    )
    if next(cron.wall_times(datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001 - wall-clock time
        raise ScheduleError(f"cron {expression!r} never fires: there is no such date", path="cron")
    return cron


def _fields(expression: str) -> list[str]:
    if len(expression) > MAX_LENGTH:
        raise ScheduleError(f"cron has {len(expression)} characters; {MAX_LENGTH} is the most", path="cron")
    text = expression.strip().lower()
    if text.startswith("@") and text not in _WORDS:
        words = ", ".join(_WORDS)
        raise ScheduleError(f"cron {expression!r}: there is no such word; take one of {words}", path="cron")
    fields = _WORDS.get(text, text).split()
    if len(fields) not in (5, 6):
        raise ScheduleError(
            f"cron {expression!r} has {len(fields)} fields; it takes 5 (minute, hour, day of month, month, "
            "day of week) or 6, with the second last",
            path="cron",
        )
    return fields if len(fields) == 6 else [*fields, "0"]


def _refused(term: str, spec: _Field, expression: str, way_out: str) -> ScheduleError:
    return ScheduleError(f"cron {expression!r}: {spec.name} {term!r} cannot be used: {way_out}", path="cron")


def _days_of_month(text: str, expression: str) -> set[int]:
    if text == "?":
        return _numbers("*", _DAY, expression)
    terms = text.split(",")
    plain = [re.sub(r"-l(?=/|$)", "-31", term) for term in terms if term != "l"]
    days = _numbers(",".join(plain), _DAY, expression) if plain else set()
    return days | ({_LAST} if "l" in terms else set())


def _plain_weekdays(text: str, expression: str) -> set[int]:
    terms = ["*" if text == "?" else term for term in text.split(",") if not _is_nth(term)]
    return _numbers(",".join(terms), _WEEKDAY, expression) if terms else set()


def _nth_weekdays(text: str, expression: str) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for term in filter(_is_nth, text.split(",")):
        if term.startswith("l"):
            found.add((_number(term[1:], _WEEKDAY, expression), _LAST))
            continue
        weekdays, _, nth = term.partition("#")
        if nth not in ("1", "2", "3", "4", "5"):
            raise _refused(term, _WEEKDAY, expression, "after '#' comes 1 to 5")
        found.update((weekday, int(nth)) for weekday in _numbers(weekdays, _WEEKDAY, expression))
    return found


def _is_nth(term: str) -> bool:
    return "#" in term or re.fullmatch("l[0-9]", term) is not None


def _numbers(text: str, spec: _Field, expression: str) -> set[int]:
    terms = text.split(",")
    if "*" in terms and len(terms) > 1:
        raise _refused(text, spec, expression, "* stands alone")
    return {number for term in terms for number in _term(term, spec, expression)}


def _term(term: str, spec: _Field, expression: str) -> list[int]:
    if term[:1] in ("r", "h"):
        raise _refused(term, spec, expression, "R and H are random; write a number")
    match = _TERM.fullmatch(term)
    if match is None or (match["first"] == "*" and match["last"]):
        raise _refused(term, spec, expression, "write a number, a-b, * or */n")
    if match["step"] and int(match["step"]) == 0:
        raise _refused(term, spec, expression, "a step is 1 or more")
    return _range(match, spec, expression)[:: int(match["step"] or 1)]


def _range(match: re.Match[str], spec: _Field, expression: str) -> list[int]:
    """The numbers of a term, from which its step is still to choose."""
    if match["first"] == "*" or (spec is _WEEKDAY and match["first"] == "0" and match["last"] == "7"):
        return list(range(spec.low, spec.high + 1))
    first = _number(match["first"], spec, expression)
    if not match["last"] and not match["step"]:
        return [first]
    last = _number(match["last"], spec, expression) if match["last"] else spec.high
    if first == last:  # to croniter the whole cycle, to every other cron the one value
        raise _refused(match[0], spec, expression, f"both ends are the same; write {first} or *")
    if first < last:
        return list(range(first, last + 1))
    if match["step"]:
        raise _refused(match[0], spec, expression, "a range that wraps takes no step; write its values")
    return [*range(first, spec.high + 1), *range(spec.low, last + 1)]


def _number(text: str, spec: _Field, expression: str) -> int:
    if text in spec.names:
        return spec.names[text]
    highest = 7 if spec is _WEEKDAY else spec.high
    if not re.fullmatch("[0-9]+", text) or not spec.low <= int(text) <= highest:
        names = f" or {', '.join(spec.names)}" if spec.names else ""
        raise _refused(text, spec, expression, f"it goes from {spec.low} to {highest}{names}")
    return int(text) % 7 if spec is _WEEKDAY else int(text)
