"""Dates of cron, interval and rrule schedules: what they take, what they refuse, and clocks put forward and back.

Clocks in these tests: Paris skips 02:00-03:00 on 29 March 2026 and repeats it on 25 October; New York skips 02:00-03:00
on 8 March and repeats 01:00-02:00 on 1 November; Lord Howe moves by half an hour, it skips 02:00-02:30 on 4 October
and repeats 01:30-02:00 on 5 April; in Beirut 29 March begins at 01:00.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher import rrules
from dispatcher.documents import from_document, to_document
from dispatcher.errors import ScheduleError
from dispatcher.schedules import (
    CronSchedule,
    IntervalSchedule,
    RRuleSchedule,
    Timing,
    check,
    describe,
    from_dict,
    next_dates,
    to_dict,
)

PARIS, NEW_YORK, LORD_HOWE, BEIRUT = "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANCHOR = datetime(2026, 1, 1, 9, tzinfo=UTC)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def first(timing: Timing, after: str, count: int) -> list[str]:
    """The dates that follow, as clocks in the schedule's timezone show them."""
    zone = ZoneInfo(timing.timezone)
    dates = islice(next_dates(timing, at(after, timing.timezone)), count)
    return [f"{date.astimezone(zone):%m-%d %H:%M%z}" for date in dates]


def first_in_utc(timing: Timing, after: str, count: int) -> list[str]:
    return [f"{date:%Y-%m-%d %H:%M:%S}" for date in islice(next_dates(timing, at(after)), count)]


class TestCron:
    @pytest.mark.parametrize(
        ("cron", "dates"),
        [
            ("*/20 * * * *", ["2026-01-01 00:20:00", "2026-01-01 00:40:00", "2026-01-01 01:00:00"]),
            ("5/25 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:30:00", "2026-01-01 00:55:00"]),
            ("0 9 * * mon-fri", ["2026-01-01 09:00:00", "2026-01-02 09:00:00", "2026-01-05 09:00:00"]),
            ("0 9 * * FRI-Mon", ["2026-01-02 09:00:00", "2026-01-03 09:00:00", "2026-01-04 09:00:00"]),
            ("0 22-1 * * *", ["2026-01-01 01:00:00", "2026-01-01 22:00:00", "2026-01-01 23:00:00"]),
            ("0 0 1 feb,DEC *", ["2026-02-01 00:00:00", "2026-12-01 00:00:00", "2027-02-01 00:00:00"]),
            ("0 0 1 nov-feb *", ["2026-02-01 00:00:00", "2026-11-01 00:00:00", "2026-12-01 00:00:00"]),
            ("0 9 * * 7", ["2026-01-04 09:00:00", "2026-01-11 09:00:00", "2026-01-18 09:00:00"]),
            ("0 9 * * 5-7", ["2026-01-02 09:00:00", "2026-01-03 09:00:00", "2026-01-04 09:00:00"]),
            ("0 9 * * 0-7", ["2026-01-01 09:00:00", "2026-01-02 09:00:00", "2026-01-03 09:00:00"]),
            ("0 9 L * *", ["2026-01-31 09:00:00", "2026-02-28 09:00:00", "2026-03-31 09:00:00"]),
            ("0 9 1,l * *", ["2026-01-01 09:00:00", "2026-01-31 09:00:00", "2026-02-01 09:00:00"]),
            ("0 9 29-L * *", ["2026-01-29 09:00:00", "2026-01-30 09:00:00", "2026-01-31 09:00:00"]),
            ("0 9 * * L5", ["2026-01-30 09:00:00", "2026-02-27 09:00:00", "2026-03-27 09:00:00"]),
            ("0 9 * * 5#2", ["2026-01-09 09:00:00", "2026-02-13 09:00:00", "2026-03-13 09:00:00"]),
            ("0 9 * * mon#1,fri#5", ["2026-01-05 09:00:00", "2026-01-30 09:00:00", "2026-02-02 09:00:00"]),
            ("0 0 ? * mon", ["2026-01-05 00:00:00", "2026-01-12 00:00:00", "2026-01-19 00:00:00"]),
            ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]),
        ],
    )
    def test_five_fields_are_read_as_prefect_reads_them(self, cron: str, dates: list[str]) -> None:
        assert first_in_utc(CronSchedule(cron), "2026-01-01 00:00:01", 3) == dates

    def test_of_six_fields_the_last_is_the_second(self) -> None:
        assert first_in_utc(CronSchedule("* * * * * */30"), "2026-01-01", 2) == [
            "2026-01-01 00:00:30",
            "2026-01-01 00:01:00",
        ]
        assert first_in_utc(CronSchedule("30 4 1 * * 15"), "2026-01-01", 1) == ["2026-01-01 04:30:15"]

    @pytest.mark.parametrize(
        ("word", "cron"),
        [
            ("@hourly", "0 * * * *"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@weekly", "0 0 * * 0"),
            ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 1 *"),
            ("@Annually", "0 0 1 1 *"),
        ],
    )
    def test_a_word_is_short_for_its_fields(self, word: str, cron: str) -> None:
        after = "2026-05-05 05:05"

        assert first(CronSchedule(word), after, 3) == first(CronSchedule(cron), after, 3)

    def test_of_two_restricted_day_fields_one_is_enough(self) -> None:
        schedule = CronSchedule("0 0 13 * 5")

        assert first(schedule, "2026-02-08", 3) == ["02-13 00:00+0000", "02-20 00:00+0000", "02-27 00:00+0000"]
        assert first(CronSchedule("0 0 */2 * 1"), "2026-01-04", 2) == ["01-05 00:00+0000", "01-07 00:00+0000"]

    def test_without_day_or_both_day_fields_must_match(self) -> None:
        schedule = CronSchedule("0 0 13 * 5", day_or=False)

        assert first_in_utc(schedule, "2026-01-01", 3) == [
            "2026-02-13 00:00:00",
            "2026-03-13 00:00:00",
            "2026-11-13 00:00:00",
        ]

    def test_the_rarest_date_there_is_comes_round(self) -> None:
        leap_monday = CronSchedule("0 0 29 2 1", day_or=False)

        assert first_in_utc(leap_monday, "2072-03-01", 2) == ["2112-02-29 00:00:00", "2140-02-29 00:00:00"]

    @pytest.mark.parametrize(
        ("cron", "said"),
        [
            ("61 * * * *", "minute '61' cannot be used: it goes from 0 to 59"),
            ("* 24 * * *", "hour '24'"),
            ("* * 0 * *", "day of month '0'"),
            ("* * * 13 *", "month '13'"),
            ("* * * foo *", "month 'foo'"),
            ("* * * * 8", "day of week '8' cannot be used: it goes from 0 to 7 or sun, mon"),
            ("* * * * * 60", "second '60'"),
            ("* * * * fri#6", "day of week 'fri#6'"),
            ("*/0 * * * *", "a step is 1 or more"),
            ("1,,2 * * * *", "minute ''"),
            ("* 1-x * * *", "hour 'x'"),
            ("* *-4 * * *", "hour '*-4'"),
            ("-1 * * * *", "minute '-1'"),
            ("* * ?/2 * *", "day of month"),
            ("* * * *", "has 4 fields; it takes 5"),
            ("0 0 1 1 * 0 2027", "has 7 fields"),
            ("", "has 0 fields"),
            ("@reboot", "there is no such word; take one of @hourly"),
            ("R * * * *", "R and H are random"),
            ("H H(0-5) * * *", "R and H are random"),
            ("R/15 * * * *", "R and H are random"),
        ],
    )
    def test_what_cannot_be_read_is_refused_by_field_and_value(self, cron: str, said: str) -> None:
        with pytest.raises(ScheduleError) as refused:
            check(CronSchedule(cron))

        assert said in str(refused.value)
        assert refused.value.path == "cron"

    @pytest.mark.parametrize(
        ("cron", "said"),
        [
            ("5-5 * * * *", "both ends are the same; write 5 or *"),
            ("59/5 * * * *", "both ends are the same"),
            ("0 22-2/2 * * *", "a range that wraps takes no step"),
            ("*,5 * * * *", "* stands alone"),
        ],
    )
    def test_what_croniter_reads_unlike_other_crons_is_refused(self, cron: str, said: str) -> None:
        with pytest.raises(ScheduleError) as refused:
            check(CronSchedule(cron))

        assert said in str(refused.value)

    @pytest.mark.parametrize(
        "schedule",
        [
            CronSchedule("0 0 31 2 *"),
            CronSchedule("0 0 31 4,6,9,11 *"),
            CronSchedule("0 0 30 2 1", day_or=False),
        ],
    )
    def test_one_that_never_fires_is_refused(self, schedule: CronSchedule) -> None:
        with pytest.raises(ScheduleError, match="never fires"):
            check(schedule)

    def test_a_day_that_does_not_exist_does_no_harm_beside_one_that_does(self) -> None:
        check(CronSchedule("0 0 31 2 1"))


class TestCronWhenClocksMove:
    @pytest.mark.parametrize(
        ("zone", "after", "cron", "dates"),
        [
            (PARIS, "2026-03-28 12:00", "30 2 * * *", ["03-29 03:00+0200", "03-30 02:30+0200"]),
            (NEW_YORK, "2026-03-07 12:00", "30 2 * * *", ["03-08 03:00-0400", "03-09 02:30-0400"]),
            (LORD_HOWE, "2026-10-03 12:00", "15 2 * * *", ["10-04 02:30+1100", "10-05 02:15+1100"]),
            (BEIRUT, "2026-03-28 12:00", "0 0 * * *", ["03-29 01:00+0300", "03-30 00:00+0300"]),
            (PARIS, "2026-03-28 12:00", "30 2 * * * 15", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ],
    )
    def test_a_fixed_time_that_is_skipped_runs_when_they_move(
        self, zone: str, after: str, cron: str, dates: list[str]
    ) -> None:
        assert first(CronSchedule(cron, zone), after, 2) == dates

    def test_several_fixed_times_that_are_skipped_run_once(self) -> None:
        schedule = CronSchedule("0,20,40 2,3 * * *", PARIS)

        assert first(schedule, "2026-03-28 12:00", 3) == ["03-29 03:00+0200", "03-29 03:20+0200", "03-29 03:40+0200"]

    @pytest.mark.parametrize(
        ("zone", "after", "cron", "dates"),
        [
            (PARIS, "2026-10-24 12:00", "30 2 * * *", ["10-25 02:30+0200", "10-26 02:30+0100"]),
            (NEW_YORK, "2026-10-31 12:00", "30 1 * * *", ["11-01 01:30-0400", "11-02 01:30-0500"]),
            (LORD_HOWE, "2026-04-04 12:00", "45 1 * * *", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        ],
    )
    def test_a_fixed_time_that_is_repeated_runs_the_first_time(
        self, zone: str, after: str, cron: str, dates: list[str]
    ) -> None:
        assert first(CronSchedule(cron, zone), after, 2) == dates

    def test_after_the_first_reading_of_a_repeated_time_the_second_is_not_a_date(self) -> None:
        between = at("2026-10-25 00:45")  # 02:45 in summer time; 02:30 comes again in 45 minutes

        (date,) = islice(next_dates(CronSchedule("30 2 * * *", PARIS), between), 1)

        assert date == at("2026-10-26 01:30")

    @pytest.mark.parametrize(
        ("zone", "after", "cron", "dates"),
        [
            (PARIS, "2026-03-29 01:00", "30 * * * *", ["03-29 01:30+0100", "03-29 03:30+0200"]),
            (PARIS, "2026-03-28 12:00", "*/30 2 * * *", ["03-30 02:00+0200", "03-30 02:30+0200"]),
            (
                LORD_HOWE,
                "2026-10-04 01:00",
                "*/20 * * * *",
                ["10-04 01:20+1030", "10-04 01:40+1030", "10-04 02:40+1100"],
            ),
            # Half an hour is not lost from the rest of the day.
            (LORD_HOWE, "2026-10-03 13:00", "*/30 12 * * *", ["10-04 12:00+1100", "10-04 12:30+1100"]),
            (BEIRUT, "2026-03-28 12:00", "*/30 0 29 3 *", []),
        ],
    )
    def test_a_wildcard_has_no_date_at_a_time_that_is_skipped(
        self, zone: str, after: str, cron: str, dates: list[str]
    ) -> None:
        wanted = len(dates) or 1
        found = first(CronSchedule(cron, zone), after, wanted)

        assert found == dates or (not dates and found == ["03-29 00:00+0300"])

    @pytest.mark.parametrize(
        ("zone", "after", "cron", "dates"),
        [
            (PARIS, "2026-10-25 02:00", "30 * * * *", ["10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100"]),
            (
                NEW_YORK,
                "2026-11-01 00:59",
                "*/30 1 * * *",
                ["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500"],
            ),
            (
                LORD_HOWE,
                "2026-04-05 01:35",
                "*/20 * * * *",
                ["04-05 01:40+1100", "04-05 01:40+1030", "04-05 02:00+1030"],
            ),
        ],
    )
    def test_a_wildcard_has_two_dates_at_a_time_that_is_repeated(
        self, zone: str, after: str, cron: str, dates: list[str]
    ) -> None:
        assert first(CronSchedule(cron, zone), after, 3) == dates


class TestInterval:
    def test_the_anchor_and_its_multiples_are_the_dates(self) -> None:
        schedule = IntervalSchedule(timedelta(minutes=90), ANCHOR)

        assert first(schedule, "2026-01-01 08:59", 3) == ["01-01 09:00+0000", "01-01 10:30+0000", "01-01 12:00+0000"]

    def test_multiples_before_the_anchor_are_dates_too(self) -> None:
        schedule = IntervalSchedule(6 * HOUR, ANCHOR)

        assert first(schedule, "2025-12-31 20:00", 2) == ["12-31 21:00+0000", "01-01 03:00+0000"]

    @pytest.mark.parametrize(
        ("zone", "after", "dates"),
        [
            (PARIS, "2026-03-29 01:00", ["03-29 03:00+0200", "03-29 04:00+0200"]),
            (PARIS, "2026-10-25 02:00", ["10-25 02:00+0100", "10-25 03:00+0100"]),
            (LORD_HOWE, "2026-10-04 01:30", ["10-04 03:00+1100", "10-04 04:00+1100"]),
        ],
    )
    def test_less_than_a_day_counts_hours_that_pass(self, zone: str, after: str, dates: list[str]) -> None:
        assert first(IntervalSchedule(HOUR, at("2026-01-01 00:00", zone), zone), after, 2) == dates

    @pytest.mark.parametrize(
        ("zone", "anchor", "after", "dates"),
        [
            (PARIS, "2026-03-01 09:00", "2026-03-28 10:00", ["03-29 09:00+0200", "03-30 09:00+0200"]),
            (PARIS, "2026-10-01 09:00", "2026-10-24 10:00", ["10-25 09:00+0100", "10-26 09:00+0100"]),
            (NEW_YORK, "2026-03-01 02:30", "2026-03-07 10:00", ["03-08 03:30-0400", "03-09 02:30-0400"]),
            (NEW_YORK, "2026-10-01 01:30", "2026-10-31 10:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
            (LORD_HOWE, "2026-10-01 02:15", "2026-10-03 10:00", ["10-04 02:45+1100", "10-05 02:15+1100"]),
            (LORD_HOWE, "2026-04-01 01:45", "2026-04-04 10:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        ],
    )
    def test_a_day_keeps_to_the_clocks(self, zone: str, anchor: str, after: str, dates: list[str]) -> None:
        assert first(IntervalSchedule(DAY, at(anchor, zone), zone), after, 2) == dates

    def test_more_than_a_day_keeps_to_the_clocks_of_its_timezone_whatever_the_anchors(self) -> None:
        schedule = IntervalSchedule(7 * DAY, at("2026-03-25 08:00"), PARIS)

        assert first(schedule, "2026-03-25 09:00", 2) == ["04-01 09:00+0200", "04-08 09:00+0200"]

    def test_a_second_anchored_long_ago_is_quick(self) -> None:
        schedule = IntervalSchedule(timedelta(seconds=1), at("1900-01-01"))

        assert first_in_utc(schedule, "2026-01-01 00:00:00", 1) == ["2026-01-01 00:00:01"]

    def test_it_ends_with_the_calendar(self) -> None:
        schedule = IntervalSchedule(timedelta(days=365_000), ANCHOR)

        assert len(list(next_dates(schedule, ANCHOR))) == 7

    @pytest.mark.parametrize(
        ("schedule", "said"),
        [
            (IntervalSchedule(timedelta(), ANCHOR), "interval is 0 s; it must be more than 0"),
            (IntervalSchedule(-HOUR, ANCHOR), "interval is -3600 s"),
            (IntervalSchedule(HOUR, ANCHOR.replace(tzinfo=None)), "has no offset"),
        ],
    )
    def test_one_without_dates_is_refused(self, schedule: IntervalSchedule, said: str) -> None:
        with pytest.raises(ScheduleError, match=said):
            check(schedule)


def rrule(*lines: str, timezone: str = "UTC") -> RRuleSchedule:
    return RRuleSchedule("\n".join(lines), timezone)


class TestRRule:
    @pytest.mark.parametrize(
        ("text", "dates"),
        [
            ("FREQ=DAILY", ["01-02 00:00+0000", "01-03 00:00+0000"]),
            ("rrule:freq=weekly;byday=mo;byhour=9", ["01-05 09:00+0000", "01-12 09:00+0000"]),
            ("DTSTART:20251231T233000\nRRULE:FREQ=HOURLY;INTERVAL=5", ["01-01 04:30+0000", "01-01 09:30+0000"]),
            ("DTSTART:20260110T090000Z RRULE:FREQ=DAILY", ["01-10 09:00+0000", "01-11 09:00+0000"]),
            ("DTSTART;VALUE=DATE:20260110\nRRULE:FREQ=DAILY", ["01-10 00:00+0000", "01-11 00:00+0000"]),
            ("DTSTART:20251231T090000\nRRULE:FREQ=MONTHLY", ["01-31 09:00+0000", "03-31 09:00+0000"]),
            (
                "DTSTART:20260101T090000\nRDATE:20260203T100000,20260202T100000",
                ["02-02 10:00+0000", "02-03 10:00+0000"],
            ),
            ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["01-30 00:00+0000", "02-27 00:00+0000"]),
        ],
    )
    def test_rules_are_read_as_prefect_reads_them(self, text: str, dates: list[str]) -> None:
        assert first(RRuleSchedule(text), "2026-01-01 00:00", 2) == dates

    def test_without_a_start_it_counts_from_2020_in_its_timezone(self) -> None:
        schedule = rrule("FREQ=DAILY;INTERVAL=7", timezone=PARIS)

        assert first(schedule, "2019-12-01", 2) == ["01-01 00:00+0100", "01-08 00:00+0100"]

    def test_count_and_until_end_it(self) -> None:
        start = "DTSTART:20260101T090000"

        assert first(rrule(start, "RRULE:FREQ=DAILY;COUNT=2"), "2025-01-01", 9) == [
            "01-01 09:00+0000",
            "01-02 09:00+0000",
        ]
        assert first(rrule(start, "RRULE:FREQ=DAILY;COUNT=2"), "2026-01-01 09:00", 9) == ["01-02 09:00+0000"]
        assert first(rrule(start, "RRULE:FREQ=DAILY;COUNT=9"), "2026-03-01", 9) == []
        assert first(rrule(start, "RRULE:FREQ=DAILY;UNTIL=20260102T090000"), "2026-01-01 10:00", 9) == [
            "01-02 09:00+0000"
        ]

    def test_one_that_has_ended_is_well_and_has_no_dates(self) -> None:
        ended = rrule("FREQ=DAILY;UNTIL=20200301T000000")

        check(ended)

        assert first(ended, "2026-01-01", 1) == []

    def test_an_until_may_be_in_utc(self) -> None:
        schedule = rrule("DTSTART:20260101T090000", "RRULE:FREQ=DAILY;UNTIL=20260102T075959Z", timezone=PARIS)

        assert first(schedule, "2025-12-31", 9) == ["01-01 09:00+0100"]

    def test_dates_and_rules_can_be_excluded(self) -> None:
        schedule = rrule(
            "DTSTART:20260326T090000",
            "RRULE:FREQ=DAILY",
            "EXRULE:FREQ=WEEKLY;BYDAY=SU",
            "EXDATE:20260328T090000,20260331T090000",
            "RDATE:20260329T120000",
            timezone=PARIS,
        )

        assert first(schedule, "2026-03-27 00:00", 4) == [
            "03-27 09:00+0100",
            "03-29 12:00+0200",
            "03-30 09:00+0200",
            "04-01 09:00+0200",
        ]

    def test_one_that_excludes_all_of_itself_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rrules, "_MAX_EXCLUDED", 1000)

        assert first(rrule("RRULE:FREQ=MINUTELY", "EXRULE:FREQ=MINUTELY"), "2026-01-01", 1) == []

    def test_a_tzid_is_the_timezone(self) -> None:
        schedule = rrule("DTSTART;TZID=Europe/Paris:20260701T090000", "RRULE:FREQ=DAILY")

        assert first(schedule, "2026-07-01", 1) == ["07-01 07:00+0000"]
        assert first(RRuleSchedule(schedule.rrule, PARIS), "2026-07-01", 1) == ["07-01 09:00+0200"]

    @pytest.mark.parametrize(
        ("zone", "after", "dates"),
        [
            (PARIS, "2026-03-28 12:00", ["03-29 03:30+0200", "03-30 02:30+0200"]),
            (PARIS, "2026-10-24 12:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
            (NEW_YORK, "2026-03-07 12:00", ["03-08 03:30-0400", "03-09 02:30-0400"]),
            (NEW_YORK, "2026-10-31 12:00", ["11-01 02:30-0500", "11-02 02:30-0500"]),
            (LORD_HOWE, "2026-10-03 12:00", ["10-04 02:30+1100", "10-05 02:30+1100"]),
        ],
    )
    def test_it_keeps_to_the_clocks(self, zone: str, after: str, dates: list[str]) -> None:
        assert first(rrule("DTSTART:20260101T023000", "RRULE:FREQ=DAILY", timezone=zone), after, 2) == dates

    def test_a_last_date_that_is_moved_on_is_not_lost(self) -> None:
        schedule = rrule("DTSTART:20260329T023000", "RRULE:FREQ=DAILY;COUNT=1", timezone=PARIS)

        assert first(schedule, "2026-03-28", 9) == ["03-29 03:30+0200"]

    @pytest.mark.parametrize(
        ("text", "dates"),
        [
            ("DTSTART:20200131T090000\nRRULE:FREQ=MONTHLY", ["03-31 09:00+0000", "05-31 09:00+0000"]),
            ("DTSTART:20080229T090000\nRRULE:FREQ=YEARLY", ["02-29 09:00+0000", "02-29 09:00+0000"]),
            ("DTSTART:20200106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2", ["02-09 09:00+0000", "02-23 09:00+0000"]),
        ],
    )
    def test_the_start_sets_the_day_however_long_ago_it_was(self, text: str, dates: list[str]) -> None:
        assert first(RRuleSchedule(text), "2026-02-01", 2) == dates

    def test_times_that_fall_together_when_clocks_move_are_one_date(self) -> None:
        schedule = rrule("FREQ=MINUTELY;INTERVAL=30", timezone=PARIS)

        assert first(schedule, "2026-03-29 01:30", 3) == ["03-29 03:00+0200", "03-29 03:30+0200", "03-29 04:00+0200"]

    def test_times_moved_on_by_clocks_stay_in_order(self) -> None:
        schedule = rrule("DTSTART:20260329T013000", "RRULE:FREQ=MINUTELY;INTERVAL=45", timezone=PARIS)

        assert first(schedule, "2026-03-29 01:30", 3) == ["03-29 03:00+0200", "03-29 03:15+0200", "03-29 03:45+0200"]

    @pytest.mark.parametrize("freq", ["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    def test_one_that_began_long_ago_is_quick(self, freq: str) -> None:
        schedule = rrule("DTSTART:16010101T000000", f"RRULE:FREQ={freq};INTERVAL=3")

        assert first(schedule, "2026-06-15", 1) != []

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "no RRULE and no RDATE"),
            ("DTSTART:20260101T000000", "no RRULE and no RDATE"),
            ("DAILY", "NAME=VALUE"),
            ("FREQ=DAILY;FREQ=WEEKLY", "different NAME=VALUE"),
            ("INTERVAL=2", "FREQ is missing"),
            ("FREQ=FORTNIGHTLY", "FREQ is FORTNIGHTLY; it is one of SECONDLY"),
            ("FREQ=DAILY;FOO=1", "unknown parameter 'FOO'"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL 0 is not in 1 to"),
            ("FREQ=DAILY;INTERVAL=x", "INTERVAL X is not in"),
            ("FREQ=HOURLY;BYHOUR=25", "BYHOUR 25 is not in 0 to 23"),
            ("FREQ=MONTHLY;BYMONTHDAY=0", "0 excepted"),
            ("FREQ=DAILY;BYDAY=XX", "invalid 'BYDAY'"),
            ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "exclude each other"),
            ("FREQ=DAILY;COUNT=100001", "COUNT 100001"),
            ("FREQ=DAILY;UNTIL=someday", "UNTIL 'SOMEDAY' is no date"),
            ("FREQ=SECONDLY;BYHOUR=3", "SECONDLY takes no BYHOUR"),
            ("FREQ=HOURLY;BYMINUTE=1;BYSETPOS=2", "HOURLY takes no BYSETPOS"),
            ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
            ("FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
            ("FREQ=HOURLY;INTERVAL=6;BYHOUR=1", "empty set"),
            ("FREQ=SECONDLY;INTERVAL=7200;BYSECOND=5", "empty set"),
            ("FREQ=DAILY EXRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
            ("SUMMARY:FREQ=DAILY", "'SUMMARY' is none of"),
            ("DTSTART:20260101\nDTSTART:20260102\nRRULE:FREQ=DAILY", "2 DTSTARTs"),
            ("DTSTART:20260101,20260102\nRRULE:FREQ=DAILY", "2 DTSTARTs"),
            ("DTSTART;TZID=Mars/Base:20260101\nRRULE:FREQ=DAILY", "unknown"),
            ("FREQ=DAILY " * 1000, "6500 is the most"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, text: str, said: str) -> None:
        with pytest.raises(ScheduleError) as refused:
            check(RRuleSchedule(text))

        assert said in str(refused.value)

    @pytest.mark.parametrize(
        "text",
        [
            "DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY",
            "DTSTART:20260101T090000\nRRULE:FREQ=DAILY\nEXDATE:20260102T080000Z",
            "DTSTART;TZID=America/New_York:20260101T090000\nRRULE:FREQ=DAILY",
            "DTSTART;TZID=Europe/Paris:20260101T090000\nRRULE:FREQ=DAILY\nEXDATE;TZID=UTC:20260102T080000",
        ],
    )
    def test_times_of_another_timezone_than_the_schedules_are_refused(self, text: str) -> None:
        with pytest.raises(ScheduleError, match="timezone"):
            check(RRuleSchedule(text, PARIS))


ANY_ZONE = st.sampled_from([PARIS, NEW_YORK, LORD_HOWE, BEIRUT, "UTC", "Pacific/Apia", "Asia/Kathmandu"])
ANY_CRON = st.builds(
    CronSchedule,
    st.sampled_from(
        [
            "*/20 * * * *",
            "30 1,2 * * *",
            "0,45 */2 * * *",
            "15 0-3 * * 0",
            "*/7 1-2 * * *",
            "0 0 L * 5#1",
            "5 2 * * * */30",
        ]
    ),
    ANY_ZONE,
)
ANY_INTERVAL = st.builds(
    IntervalSchedule,
    st.sampled_from([timedelta(minutes=7), HOUR, 23 * HOUR, DAY, 36 * HOUR, timedelta(days=5)]),
    st.sampled_from([ANCHOR, at("2026-03-08 06:30"), at("2020-10-04 15:45")]),
    ANY_ZONE,
)
ANY_RRULE = st.builds(
    RRuleSchedule,
    st.sampled_from(
        [
            "FREQ=DAILY",
            "FREQ=MINUTELY;INTERVAL=45",
            "DTSTART:20251231T023000\nRRULE:FREQ=DAILY;BYHOUR=1,2,3",
            "DTSTART:20260101T013000\nRRULE:FREQ=HOURLY;COUNT=4000",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;BYHOUR=2 EXRULE:FREQ=MONTHLY;BYDAY=1SU;BYHOUR=2",
        ]
    ),
    ANY_ZONE,
)
ANY_TIMING = ANY_CRON | ANY_INTERVAL | ANY_RRULE
NEAR_A_MOVE = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes, seconds=minutes % 7),
    st.sampled_from(
        [at("2026-03-08"), at("2026-03-28 18:00"), at("2026-04-04"), at("2026-10-03"), at("2026-10-24 18:00")]
    ),
    st.integers(0, 2 * 1440),
)


class TestAnySchedule:
    @given(timing=ANY_TIMING, after=NEAR_A_MOVE)
    def test_dates_ascend_in_utc_and_are_later_than_asked(self, timing: Timing, after: datetime) -> None:
        dates = [after, *islice(next_dates(timing, after), 40)]

        assert all(earlier < later for earlier, later in pairwise(dates))
        assert all(date.tzinfo is UTC for date in dates[1:])

    @given(timing=ANY_TIMING, after=NEAR_A_MOVE)
    def test_going_on_from_any_date_gives_the_same_dates(self, timing: Timing, after: datetime) -> None:
        dates = list(islice(next_dates(timing, after), 16))

        for n, date in enumerate(dates[:-1]):
            just_before = date + (dates[n + 1] - date) / 2
            assert next(next_dates(timing, date)) == next(next_dates(timing, just_before)) == dates[n + 1]

    def test_the_moment_asked_about_may_be_in_any_timezone_but_must_be_in_one(self) -> None:
        hourly = CronSchedule("@hourly")

        assert next(next_dates(hourly, at("2026-07-01 02:30", PARIS))) == at("2026-07-01 01:00")
        with pytest.raises(ValueError, match="aware"):
            next_dates(hourly, datetime(2026, 7, 1))  # noqa: DTZ001 - what must not be

    @pytest.mark.parametrize("name", ["Europe/Pari", "Europe", "", "../etc/passwd", "Mars/Base", "/etc/localtime"])
    def test_an_unknown_timezone_is_refused(self, name: str) -> None:
        for timing in (
            CronSchedule("@daily", name),
            IntervalSchedule(DAY, ANCHOR, name),
            RRuleSchedule("FREQ=DAILY", name),
        ):
            with pytest.raises(ScheduleError, match="is unknown") as refused:
                check(timing)
            assert refused.value.path == "timezone"

    def test_names_like_the_unknown_one_are_offered(self) -> None:
        with pytest.raises(ScheduleError, match="did you mean Europe/Paris"):
            check(CronSchedule("@daily", "Europe/Pari"))

    @given(timing=ANY_TIMING)
    def test_what_is_shown_is_one_line_and_what_is_stored_comes_back(self, timing: Timing) -> None:
        check(timing)

        assert "\n" not in describe(timing)
        assert from_dict(to_dict(timing)) == timing
        assert from_document(type(timing), to_document(timing)) == timing


@pytest.mark.parametrize(
    ("timing", "line"),
    [
        (CronSchedule("0 9 * * 1-5", PARIS), "cron 0 9 * * 1-5 (Europe/Paris)"),
        (CronSchedule("0 9 13 * 5", day_or=False), "cron 0 9 13 * 5 (UTC, both day fields must match)"),
        (
            IntervalSchedule(timedelta(days=1, hours=2, seconds=30), ANCHOR, PARIS),
            "every 1 d 2 h 30 s from 2026-01-01 10:00:00+01:00 (Europe/Paris)",
        ),
        (IntervalSchedule(timedelta(milliseconds=500), ANCHOR), "every 0.5 s from 2026-01-01 09:00:00+00:00 (UTC)"),
        (rrule("DTSTART:20260101T000000", "RRULE:FREQ=DAILY"), "rrule DTSTART:20260101T000000 RRULE:FREQ=DAILY (UTC)"),
    ],
)
def test_a_schedule_is_described_for_people(timing: Timing, line: str) -> None:
    assert describe(timing) == line


@pytest.mark.parametrize(
    ("document", "timing"),
    [
        ({"cron": "@daily"}, CronSchedule("@daily")),
        ({"cron": "@daily", "timezone": None, "day_or": None}, CronSchedule("@daily")),
        ({"cron": "@daily", "timezone": PARIS, "day_or": False}, CronSchedule("@daily", PARIS, day_or=False)),
        ({"interval": 3600, "anchor_date": "2026-01-01T09:00:00Z"}, IntervalSchedule(HOUR, ANCHOR)),
        ({"interval": 0.5, "anchor_date": ANCHOR}, IntervalSchedule(timedelta(milliseconds=500), ANCHOR)),
        (
            {"interval": 60, "anchor_date": "2026-01-01T09:00:00", "timezone": PARIS},
            IntervalSchedule(timedelta(minutes=1), ANCHOR - HOUR, PARIS),
        ),
        ({"rrule": "FREQ=DAILY", "timezone": PARIS}, RRuleSchedule("FREQ=DAILY", PARIS)),
    ],
)
def test_a_schedule_is_read_from_json(document: dict[str, Any], timing: Timing) -> None:
    assert from_dict(document) == timing


def test_an_interval_without_an_anchor_takes_the_one_that_is_given() -> None:
    assert from_dict({"interval": 60}, default_anchor=ANCHOR) == IntervalSchedule(timedelta(minutes=1), ANCHOR)


@pytest.mark.parametrize(
    ("document", "said", "path"),
    [
        ({}, "it has none of them", ""),
        ({"cron": "@daily", "interval": 5}, "it has cron and interval", ""),
        ({"cron": 5}, "cron is 5; it must be text", "cron"),
        ({"cron": "@daily", "day_or": "no"}, "true or false", "day_or"),
        ({"cron": "@daily", "day-or": False}, "'day-or' is no part of a schedule by cron", "day-or"),
        ({"interval": True}, "a number of seconds", "interval"),
        ({"interval": 1e30, "anchor_date": ANCHOR}, "interval is 1e", "interval"),
        ({"interval": float("nan"), "anchor_date": ANCHOR}, "interval is nan", "interval"),
        ({"interval": 60}, "anchor_date is missing", "anchor_date"),
        ({"interval": 60, "anchor_date": "soon"}, "write it as 2026-01-31T09:00:00Z", "anchor_date"),
        ({"interval": 60, "anchor_date": "2026-01-01", "timezone": "Pluto"}, "timezone 'Pluto' is unknown", "timezone"),
        ({"rrule": "FREQ=DAILY", "timezone": 1}, "timezone is 1", "timezone"),
    ],
)
def test_json_that_is_no_schedule_is_refused_by_key(document: dict[str, Any], said: str, path: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        from_dict(document)

    assert said in str(refused.value)
    assert refused.value.path == path
