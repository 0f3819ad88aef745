"""Pub/Sub's pushes of the audit log: what changes a run, what is let go, and what must come again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from dispatcher.errors import StoreUnavailable
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.far_side import FarSide

Json = dict[str, Any]
ENTRY: Json = {"insertId": "1", "logName": "projects/p/logs/system_event", "resource": {"type": "cloud_run_job"}}


def pushed(entry: Any) -> Json:
    """As "Receive push messages" has it."""
    data = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    message = {"data": base64.b64encode(data).decode(), "messageId": "7", "publishTime": "2026-01-01T00:00:00Z"}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


@pytest.fixture
def ended(push: Callable[..., int], far: FarSide, bench: ApiBench) -> Json:
    """An entry about a run that was submitted: its container ended well."""
    assert push("dispatch", {"pool": "left"}) == 204
    (start,) = far.started()
    at = bench.clock.now().timestamp()
    return {
        **ENTRY, "source": "fake", "run_id": start.run_id, "attempt": 1, "handle": start.handle, "phase": "stopped",
        "exit_code": 0, "cause": "exited", "message": "", "started": at, "ended": at, "log_tail": "",
    }  # fmt: skip


def test_an_event_of_ours_moves_its_run(push: Callable[..., int], bench: ApiBench, ended: Json) -> None:
    assert push("events", pushed(ended)) == 204

    run = bench.store.get_run(ended["run_id"])
    assert run is not None
    assert run.state.type == "COMPLETED"


def test_an_event_that_comes_twice_changes_nothing_more(push: Callable[..., int], bench: ApiBench, ended: Json) -> None:
    push("events", pushed(ended))
    before = bench.contents()

    assert push("events", pushed(ended)) == 204
    assert bench.contents() == before


@pytest.mark.parametrize(
    "change",
    [
        {"source": "somebody else"},
        {"run_id": "00000000-0000-4000-8000-000000000000"},
        {"attempt": 7},
        {"resource": {"type": "gce_instance"}},
        {"resource": None},
    ],
    ids=str,
)
def test_an_event_that_is_not_ours_or_of_an_unknown_execution_is_let_go(
    push: Callable[..., int], bench: ApiBench, ended: Json, change: Json, caplog: pytest.LogCaptureFixture
) -> None:
    before = bench.contents()

    assert push("events", pushed({**ended, **change})) == 204
    assert bench.contents() == before
    assert caplog.records[-1].getMessage() in {"event is not ours", "event changed nothing"}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", {}, {"message": 3}, {"message": {"data": "%"}}, pushed(b"x"), pushed([]), pushed(b"\xff")],
    ids=str,
)
def test_what_cannot_be_read_is_acknowledged_and_told(
    push: Callable[..., int], body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert push("events", body) == 204

    assert caplog.records[-1].getMessage() == "event cannot be read"


def test_an_event_comes_again_when_the_store_cannot_be_had(
    push: Callable[..., int], bench: ApiBench, ended: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise StoreUnavailable("busy")

    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "get_run", fail)
        assert push("events", pushed(ended)) == 503
    assert push("events", pushed(ended)) == 204


def test_nothing_of_an_event_is_logged_but_whose_it_is(
    push: Callable[..., int], ended: Json, caplog: pytest.LogCaptureFixture
) -> None:
    push("events", pushed({**ended, "source": "somebody else", "env": "hunter2"}))

    assert "hunter2" not in caplog.text
    assert all("hunter2" not in str(line.__dict__) for line in caplog.records)


def test_a_push_without_a_token_changes_nothing(push: Callable[..., int], bench: ApiBench, ended: Json) -> None:
    before = bench.contents()

    assert push("events", pushed(ended), headers={}) == 401
    assert bench.contents() == before
