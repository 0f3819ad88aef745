"""The schedule and the queue, as Lambda calls for them; and what is printed of it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from dispatcher import records
from dispatcher.pools import PoolPulse
from dispatcher.runs import Name
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.far_side import FarSide

Json = dict[str, Any]
TICK: Json = {"source": "pushpool.tick"}
EVENT: Json = {"version": "0", "id": "1", "source": "aws.ecs", "detail-type": "ECS Task State Change", "time": "",
               "account": "", "region": "", "resources": [], "detail": {}}  # fmt: skip


class Call:
    """What a function is told of its own call."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def message(number: int, body: Any) -> Json:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": f"message-{number}", "body": text, "receiptHandle": "handle", "eventSource": "aws:sqs"}


def failed(answer: Json) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


@pytest.fixture
def far(bench: ApiBench, tmp_path: Any) -> Iterator[FarSide]:
    """A cloud for the pools `left` and `right`, each with a run that is due."""
    made = FarSide(tmp_path / "far.db", now=bench.clock.now)
    bench.infrastructure = FakeCloud(made)
    for pool in ("left", "right"):
        bench.with_pool(pool).with_deployment(f"of-{pool}", pool=pool).new_run(f"of-{pool}")
    yield made
    made.close()


def started(far: FarSide, bench: ApiBench) -> list[str]:
    """The pools whose run was started."""
    return sorted(run.pool for start in far.started() if (run := bench.store.get_run(start.run_id)) is not None)


def metrics(printed: str) -> dict[str, Json]:
    """Pool, or nothing → what was printed of it, with what CloudWatch needs to read it."""
    found = {}
    for line in printed.splitlines():
        said = json.loads(line)
        about = said["_aws"]["CloudWatchMetrics"][0]
        assert about["Namespace"] == "pushpool"
        assert all(metric["Name"] in said for metric in about["Metrics"])
        assert all(name in said for name in about["Dimensions"][0])
        found[said.get("Pool", "")] = said
    return found


def test_a_tick_makes_a_pass_over_every_pool_and_counts_it(
    app: ModuleType, far: FarSide, capsys: pytest.CaptureFixture[str]
) -> None:
    app.dispatch(TICK, Call())

    printed = metrics(capsys.readouterr().out)
    assert len(far.started()) == 2
    assert (printed[""]["Ticks"], printed[""]["Admitted"], printed[""]["Submitted"]) == (1, 2, 2)
    assert len(printed[""]["SubmissionLagSeconds"]) == 2
    assert printed["left"]["SlotsInUse"] == [1.0]
    assert printed["left"]["Installation"] == "pushpool"


def test_an_idle_tick_prints_that_it_was_made_and_nothing_else(
    app: ModuleType, bench: ApiBench, capsys: pytest.CaptureFixture[str]
) -> None:
    app.dispatch(TICK, Call())

    (said,) = metrics(capsys.readouterr().out).values()
    assert said.keys() == {"_aws", "Installation", "Ticks"}


def test_a_tick_that_goes_wrong_is_no_successful_one(
    app: ModuleType, bench: ApiBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the store is on fire")

    monkeypatch.setattr(type(bench.store), "list", fail)

    with pytest.raises(OSError, match="on fire"):
        app.dispatch(TICK, Call())

    assert metrics(capsys.readouterr().out)[""].keys() == {"_aws", "Installation", "Errors", "PassesFailed"}


def test_every_end_of_a_run_is_counted() -> None:
    figures: Any = sys.modules["chalicelib.figures"].Figures("pushpool")
    for name in Name:
        said = {"msg": "run moved", "levelno": logging.INFO, "state": name}
        figures.handle(logging.makeLogRecord(said))

    (line,) = [json.loads(line) for line in figures.lines(0.0)]

    assert {name: line[name] for name in ("Completed", "Failed", "Crashed", "Cancelled")} == {
        "Completed": 1, "Failed": 2, "Crashed": 1, "Cancelled": 1,
    }  # fmt: skip
    assert sum(value for value in line.values() if isinstance(value, int | float)) == 5


def test_counts_are_whole_however_many_there_were() -> None:
    figures: Any = sys.modules["chalicelib.figures"].Figures("pushpool")
    for _ in range(250):
        figures.handle(logging.makeLogRecord({"msg": "run admitted", "levelno": logging.INFO}))
        extra = {"outcome": "Accepted", "lag_seconds": 0.5}
        figures.handle(logging.makeLogRecord({"msg": "run submitted", "levelno": logging.INFO, **extra}))

    said = [json.loads(line) for line in figures.lines(0.0)]

    assert [line["Admitted"] for line in said if "Admitted" in line] == [250]
    assert [len(line["SubmissionLagSeconds"]) for line in said] == [100, 100, 50]


def test_a_wake_makes_a_pass_over_its_pool_alone(app: ModuleType, far: FarSide, bench: ApiBench) -> None:
    answer = app.dispatch({"Records": [message(1, {"pool": "left", "hops": 0})]}, Call())

    assert failed(answer) == []
    assert started(far, bench) == ["left"]
    assert records.read(bench.store, PoolPulse, "right") is None


def test_messages_for_one_pool_are_one_pass_and_those_for_others_are_made_too(
    app: ModuleType, far: FarSide, bench: ApiBench
) -> None:
    messages = [message(n, {"pool": pool, "hops": n}) for n, pool in enumerate(("left", "left", "right", "gone"))]

    answer = app.dispatch({"Records": messages}, Call())

    assert failed(answer) == []
    assert started(far, bench) == ["left", "right"]


@pytest.mark.parametrize("body", ["", "x", "[]", "{}", '{"pool": 3}', '{"pool": ""}', '{"pool": "left", "hops": -1}'])
def test_what_is_no_wake_is_given_back_alone_and_told(
    app: ModuleType, far: FarSide, bench: ApiBench, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "pushpool"):
        answer = app.dispatch({"Records": [message(1, body), message(2, {"pool": "right"})]}, Call())

    assert failed(answer) == ["message-1"]
    assert started(far, bench) == ["right"]
    assert "message is no wake" in caplog.text


def test_the_messages_of_a_pass_that_fails_are_given_back_alone(
    app: ModuleType, far: FarSide, bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = bench.store.active

    def active(pool: str) -> Any:
        if pool == "left":
            raise OSError("the store is on fire")
        return really(pool)

    monkeypatch.setattr(bench.store, "active", active)
    messages = [message(n, {"pool": pool}) for n, pool in enumerate(("left", "right", "left"))]

    answer = app.dispatch({"Records": messages}, Call())

    assert failed(answer) == ["message-0", "message-2"]
    assert started(far, bench) == ["right"]


def test_an_event_that_is_not_ours_or_of_an_unknown_run_changes_nothing(
    app: ModuleType, bench: ApiBench, far: FarSide
) -> None:
    before = bench.contents()
    for source in ("aws.ecs", "aws.s3"):
        app.events({**EVENT, "source": source, "detail": {"startedBy": "ecs-svc/1"}}, Call())
    unknown = {"run": "00000000-0000-4000-8000-000000000000", "attempt": 1, "handle": "fake/1", "phase": "stopped"}
    app.events({**EVENT, **unknown}, Call())

    assert bench.contents() == before


def test_a_function_without_its_environment_says_what_it_lacks(app: ModuleType) -> None:
    from dispatcher import settings, wiring
    from dispatcher.errors import Misconfigured

    with pytest.raises(Misconfigured, match="PUSHPOOL_PUBLIC_URL is not set"):
        wiring.deployed(settings.read({"PUSHPOOL_STORE": "dynamodb://t"}))


def test_a_pass_ends_before_its_function_does(app: ModuleType) -> None:
    from datetime import UTC, datetime, timedelta

    passes: Any = sys.modules["chalicelib.passes"]
    left = passes.until(Call()) - datetime.now(UTC)

    assert timedelta(seconds=40) < left <= timedelta(seconds=50)


def test_the_zip_imports_no_more_than_a_function_needs() -> None:
    """In a process of its own: what has been imported here says nothing."""
    import subprocess
    from pathlib import Path

    folder = Path(__file__).parents[3] / "infra" / "aws"
    script = (
        f"import sys, os; sys.path.insert(0, {str(folder)!r}); os.environ['_HANDLER'] = sys.argv[1]; import app;"
        "print(*sorted(sys.modules))"
    )

    def imported(handler: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", script, handler], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    # `google` by itself may be a folder that an installed package declares, and no more.
    clouds = {"google.auth", "google.api_core", "grpc", "azure", "modal"}
    for handler in ("app.dispatch", "app.events"):
        assert not imported(handler) & {"dispatcher.http.routes", "httpx", "jsonschema_rs", "dispatcher.cli", *clouds}
    assert not imported("app.api") & {"dispatcher.cli", "waitress", *clouds}
    assert "dispatcher.dispatch" not in imported("app.events")
