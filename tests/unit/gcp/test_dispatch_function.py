"""Cloud Scheduler and Cloud Tasks, as they call for it; what is printed of it, and what they are answered."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher import logs, records
from dispatcher.errors import StoreUnavailable, StoreUnusable
from dispatcher.functions.parts import until
from dispatcher.pools import PoolPulse
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.far_side import FarSide

Json = dict[str, Any]
TICK: Json = {"source": "pushpool.tick"}


def started(far: FarSide, bench: ApiBench) -> list[str]:
    """The pools whose run was started."""
    return sorted(run.pool for start in far.started() if (run := bench.store.get_run(start.run_id)) is not None)


def figures(printed: str) -> dict[str, Json]:
    """Pool, or nothing → what was printed of it."""
    found: dict[str, Json] = {}
    for line in printed.splitlines():
        said = json.loads(line)
        assert (said["severity"], said["message"], said["installation"]) == ("INFO", "figures", "pushpool")
        assert all(isinstance(value, int | float) for value in said["figures"].values())
        found.setdefault(said.get("pool", ""), {}).update(said["figures"])
    return found


def test_a_tick_makes_a_pass_over_every_pool_and_counts_it(
    push: Callable[..., int], far: FarSide, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push("dispatch", TICK) == 204

    printed = figures(capsys.readouterr().out)
    assert len(far.started()) == 2
    assert (printed[""]["Ticks"], printed[""]["Admitted"], printed[""]["Submitted"]) == (1, 2, 2)
    assert printed["left"]["SlotsInUse"] == 1


def test_an_idle_tick_prints_that_it_was_made_and_nothing_else(
    push: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    push("dispatch", TICK)

    assert figures(capsys.readouterr().out) == {"": {"Ticks": 1}}


def test_a_line_has_one_value_of_each_figure() -> None:
    made: Any = sys.modules["gcpfunctions.figures"].Figures("pushpool")
    for number in range(3):
        made.handle(logging.makeLogRecord({"msg": "run admitted", "levelno": logging.INFO}))
        extra = {"outcome": "Accepted", "lag_seconds": number}
        made.handle(logging.makeLogRecord({"msg": "run submitted", "levelno": logging.INFO, **extra}))

    said = [json.loads(line)["figures"] for line in made.lines(0.0)]

    assert said == [
        {"Admitted": 3, "Submitted": 3, "SubmissionLagSeconds": 0},
        {"SubmissionLagSeconds": 1},
        {"SubmissionLagSeconds": 2},
    ]


def test_of_two_calls_at_once_what_both_did_is_counted() -> None:
    """The one that ends first does not stop the other's counting."""
    made: Any = sys.modules["gcpfunctions.figures"].Figures("pushpool")
    with made.printed():
        with made.printed():
            logs.log.info("run admitted")
        list(made.lines(0.0))
        logs.log.info("run admitted")

        (line,) = made.lines(0.0)

    assert json.loads(line)["figures"] == {"Admitted": 1}
    assert made not in logs.log.handlers


def test_a_wake_makes_a_pass_over_its_pool_alone(push: Callable[..., int], far: FarSide, bench: ApiBench) -> None:
    assert push("dispatch", {"pool": "left", "hops": 0}) == 204

    assert started(far, bench) == ["left"]
    assert records.read(bench.store, PoolPulse, "right") is None


@pytest.mark.parametrize("body", [b"", b"x", b"\xff", b"[]", b"{}", b'{"pool": 3}', b'{"pool": "left", "hops": -1}'])
def test_what_is_no_wake_is_acknowledged_and_told(
    push: Callable[..., int], far: FarSide, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It would come again as it is."""
    assert push("dispatch", body) == 204

    assert far.started() == []
    assert "message is no wake" in caplog.text


def test_a_wake_whose_pass_fails_comes_again(
    push: Callable[..., int], far: FarSide, bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 503 it would hold up the wakes of every other pool."""

    def fail(*_: object) -> None:
        raise OSError("the store is on fire")

    monkeypatch.setattr(bench.store, "active", fail)

    assert push("dispatch", {"pool": "left"}) == 500


@pytest.mark.parametrize(
    ("trouble", "status", "level"),
    [
        (StoreUnavailable("busy"), 503, logging.WARNING),
        (StoreUnusable("the database is not there"), 500, logging.ERROR),
        (OSError("the store is on fire"), 500, logging.ERROR),
    ],
)
def test_a_tick_that_goes_wrong_is_no_successful_one(
    push: Callable[..., int],
    bench: ApiBench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    trouble: Exception,
    status: int,
    level: int,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(type(bench.store), "list", fail)

    assert push("dispatch", TICK) == status
    assert "push not dealt with" in [line.getMessage() for line in caplog.records if line.levelno == level]
    assert "Ticks" not in capsys.readouterr().out


def test_a_push_without_a_token_or_with_a_foreign_one_does_nothing(
    push: Callable[..., int], far: FarSide, issuing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    audience, account = "https://dispatch.example", "invoker@pushpool-test.iam.gserviceaccount.com"

    assert push("dispatch", TICK, headers={}) == 401
    assert push("dispatch", TICK, token=issuing.forged(audience=audience, email=account)) == 401
    assert push("dispatch", TICK, token=issuing.token(audience="https://other.example", email=account)) == 401
    assert push("dispatch", TICK, token=issuing.token(audience=audience, email="somebody@example")) == 403
    assert far.started() == []
    assert [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING] == ["push refused"] * 4


def test_without_a_word_on_who_may_push_nobody_may(
    push: Callable[..., int], told: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    told(OIDC_ACCOUNTS=" , ")

    assert push("dispatch", TICK) == 500
    assert "PUSHPOOL_OIDC_ACCOUNTS must be set" in caplog.records[-1].__dict__["why"]


def test_a_setting_that_is_wrong_is_told_in_the_log(
    push: Callable[..., int], told: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    told(FUNCTION_SECONDS="soon")

    assert push("dispatch", TICK) == 500
    assert caplog.records[-1].__dict__["why"].startswith("PUSHPOOL_FUNCTION_SECONDS is 'soon'")


@pytest.mark.parametrize(("seconds", "left"), [(60, 50), (10, 5)])
def test_a_pass_ends_before_its_function_does(seconds: int, left: int) -> None:
    before = datetime.now(UTC)

    end = until(timedelta(seconds=seconds))

    assert timedelta(seconds=left) <= end - before < timedelta(seconds=left + 5)


def test_lines_carry_what_cloud_logging_looks_for() -> None:
    record = logging.makeLogRecord({"msg": "pass failed", "levelname": "ERROR", "pool": "left", "created": 0.0})

    said = json.loads(logs.JsonLines(logs.SEVERITY).format(record))

    assert said == {
        "time": "1970-01-01T00:00:00.000+00:00", "severity": "ERROR", "message": "pass failed", "pool": "left",
    }  # fmt: skip
