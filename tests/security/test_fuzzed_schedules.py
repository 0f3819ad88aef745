"""Whatever is said of when a deployment is due: dates, or a refusal, and neither takes long."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher import schedules
from dispatcher.errors import ScheduleError

Json = dict[str, Any]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CPU_SECONDS = 30  # of all that follow together; one that goes astray would take hours
EVERY_SECOND = ",".join(map(str, range(60)))
SETTLED = f"BYHOUR={','.join(map(str, range(24)))};BYMINUTE={EVERY_SECOND};BYSECOND={EVERY_SECOND}"

# Each was once raised by, or searched for without end.
ASTRAY: list[Json] = [
    {"cron": "9" * 5000 + " * * * *"},
    {"cron": "*/" + "9" * 5000 + " * * * *"},
    {"cron": "0-" + "9" * 5000 + " * * * *"},
    {"cron": ",".join(["1"] * 100_000) + " * * * *"},
    {"interval": 60, "anchor_date": "0001-01-01T00:00:00+23:59"},
    {"interval": 86_400, "anchor_date": "9999-12-31T23:59:59-23:59"},
    {"interval": 1, "anchor_date": "9999-12-31T23:59:59Z", "timezone": "Europe/Berlin"},
    {"rrule": "FREQ=DAILY;BYEASTER=999999999"},
    {"rrule": "FREQ=YEARLY;BYDAY=+99MO"},
    {"rrule": "FREQ=DAILY;COUNT=1,2"},
    {"rrule": "FREQ=DAILY;INTERVAL=1,2"},
    {"rrule": "FREQ=DAILY;UNTIL=99991231T235959Z", "timezone": "Europe/Berlin"},
    {"rrule": " ".join(["RRULE:FREQ=SECONDLY;COUNT=100000"] * 50)},
    {"rrule": " ".join(["RRULE:FREQ=SECONDLY;COUNT=100000"] * 2)},
    {"rrule": " ".join(["RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"] * 60)},
    {"rrule": "RRULE:FREQ=SECONDLY " + " ".join(["EXRULE:FREQ=SECONDLY"] * 200)},
]
# These have, as far as anybody looks, no date that is not taken out again.
EXHAUSTED: list[Json] = [
    {"rrule": "RRULE:FREQ=YEARLY EXRULE:FREQ=SECONDLY"},
    {"rrule": "RRULE:FREQ=DAILY;INTERVAL=2;BYMONTH=1 EXRULE:FREQ=DAILY;INTERVAL=2"},
    {"rrule": "RRULE:FREQ=DAILY EXRULE:FREQ=DAILY"},
    {"rrule": f"RRULE:FREQ=SECONDLY EXRULE:FREQ=MINUTELY;BYSECOND={EVERY_SECOND}"},
]
# Far apart, or many at once: they have to be found all the same.
LABORIOUS: list[Json] = [
    {"cron": "0 0 29 2 l5"},
    {"cron": "* * * * * *"},
    {"rrule": "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=29"},
    {"rrule": "FREQ=MINUTELY;INTERVAL=1440;BYHOUR=0"},
    {"rrule": f"FREQ=YEARLY;{SETTLED};BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR,SA,SU"},
    {"rrule": "DTSTART:00010101T000000 RRULE:FREQ=SECONDLY"},
    {"rrule": "RRULE:FREQ=MINUTELY EXRULE:FREQ=MINUTELY;BYDAY=SU,SA"},
    {"interval": 0.000001, "anchor_date": "0002-01-01T00:00:00Z"},
]


def dates(document: Json) -> list[datetime]:
    """The next of them, of one that could be registered. :raises ScheduleError:"""
    timing = schedules.from_dict(document, default_anchor=NOW)
    schedules.check(timing)
    assert schedules.from_dict(schedules.to_dict(timing)) == timing
    assert schedules.describe(timing)
    found = list(islice(schedules.next_dates(timing, NOW), 25))
    assert found == sorted(set(found))
    return found


@pytest.mark.parametrize("document", ASTRAY, ids=lambda document: str(document)[:50])
def test_what_would_go_astray_is_refused(document: Json) -> None:
    with pytest.raises(ScheduleError) as refused:
        dates(document)

    assert len(str(refused.value)) < 8000


def test_none_is_searched_for_without_end() -> None:
    """In a process of its own, which may use so much of the processor and no more."""
    code = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_CPU, ({CPU_SECONDS}, {CPU_SECONDS}))\n"
        "import json\n"
        f"told = runpy.run_path({__file__!r})\n"
        "json.dump([len(told['dates'](each)) for each in told['EXHAUSTED'] + told['LABORIOUS']], sys.stdout)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found[: len(EXHAUSTED)] == [0] * len(EXHAUSTED)
    assert all(found[len(EXHAUSTED) :])


NUMBER = st.integers(-400, 400).map(str) | st.sampled_from(["0", "00", "99999", "9" * 30, "1.5", "²", "٣", "1e3", "-0"])
TERM = st.one_of(
    NUMBER, st.sampled_from(["*", "?", "L", "mon", "JAN", "l5", "5#2", "l-3", "h", "r(1-3)"]),
    st.builds("{}-{}".format, NUMBER, NUMBER), st.builds("{}/{}".format, st.sampled_from(["*", "1-9", "7"]), NUMBER),
)  # fmt: skip
FIELD = st.lists(TERM, min_size=1, max_size=3).map(",".join)
CRON = st.lists(FIELD, min_size=5, max_size=6).map(" ".join) | st.text(max_size=30)
ZONE = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Monrovia"])
ODD_ZONE = (
    ZONE | st.text(max_size=20) | st.sampled_from(["../../etc/passwd", "/etc/passwd", "Europe", "x" * 9999, "\ud800"])
)
STAMP = st.sampled_from(
    ["00010101T000000", "20200229T000000Z", "99991231T235959", "20260132T000000", "2026", "20261122", "\x00"]
)
PART = st.one_of(
    st.builds("FREQ={}".format, st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "SECONDLY", "X"])),
    st.builds(
        "{}={}".format,
        st.sampled_from(
            ["INTERVAL", "COUNT", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYHOUR", "BYSECOND", "BYSETPOS",
             "BYEASTER", "BYDAY", "WKST", "X"]
        ),
        st.lists(NUMBER, min_size=1, max_size=3).map(",".join) | st.sampled_from(["MO", "+5MO", "-9SU", "MO(+1)", ""]),
    ),
    st.builds("UNTIL={}".format, STAMP),
)  # fmt: skip
RULE = st.builds(
    "{}:FREQ={};{}".format,
    st.sampled_from(["RRULE", "EXRULE"]),
    st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]),
    st.lists(PART, max_size=3).map(";".join),
)
LINE = RULE | st.builds("{}:{}".format, st.sampled_from(["DTSTART", "RDATE", "EXDATE", "DTSTART;TZID=X", "X"]), STAMP)
RRULE = st.lists(LINE, max_size=3).map(" ".join) | st.text(max_size=30)
SCHEDULES = st.one_of(
    st.fixed_dictionaries({"cron": CRON, "timezone": ODD_ZONE, "day_or": st.booleans()}),
    st.fixed_dictionaries({"cron": CRON, "timezone": ZONE, "day_or": st.booleans()}),
    st.fixed_dictionaries({"rrule": RRULE, "timezone": ZONE}),
    st.fixed_dictionaries(
        {
            "interval": st.integers() | st.floats() | st.sampled_from([10**400, 1e-6, 86_400]),
            "anchor_date": st.datetimes().map(datetime.isoformat) | STAMP | st.text(max_size=20),
            "timezone": ZONE,
        }
    ),
    st.dictionaries(
        st.sampled_from(["cron", "interval", "rrule", "timezone", "x"]), st.none() | st.text() | st.integers()
    ),
)


@settings(max_examples=500)
@given(document=SCHEDULES)
def test_any_other_has_dates_or_is_refused(document: Json) -> None:
    with contextlib.suppress(ScheduleError):
        dates(document)
