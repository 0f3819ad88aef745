"""Requests, answered by the core's routes through functions-framework."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.api_keys import Scope
from dispatcher.errors import Misconfigured
from dispatcher.http.messages import MAX_BODY_BYTES
from dispatcher.testing.api_bench import TEMPLATE, ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import RunToken

POOL = {"type": "process", "base_job_template": dict(TEMPLATE)}


@pytest.fixture
def call(targets: Mapping[str, Any], bench: ApiBench) -> Any:
    def called(method: str, path: str, body: Any = None, **headers: str) -> Any:
        said = {"Authorization": f"Bearer {bench.keys[Scope.ADMIN]}", "Content-Type": "application/json", **headers}
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return targets["api"].open(path, method=method, data=sent, headers=said)

    return called


def test_a_body_and_the_names_in_a_path_arrive_and_the_answer_goes_out(call: Any) -> None:
    made = call("PUT", "/v1/work-pools/night", POOL)
    shown = call("GET", "/v1/work-pools/night")

    assert (made.status_code, shown.status_code) == (201, 200)
    assert shown.json["name"] == "night"
    assert shown.headers["Content-Type"] == "application/json"


def test_a_query_arrives_with_all_that_it_repeats(call: Any) -> None:
    assert call("GET", "/v1/runs?state=FAILED&state=CRASHED&limit=5").status_code == 200
    bad = call("GET", "/v1/runs?limit=none")

    assert bad.status_code == 422
    assert "limit" in bad.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/nowhere", 404), ("PATCH", "/v1/health", 405), ("GET", "/v1/runs/%FF", 422)],
)
def test_what_no_route_is_for_is_told_by_the_core(call: Any, method: str, path: str, status: int) -> None:
    answer = call(method, path)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_head_is_get_without_the_body(call: Any) -> None:
    answer = call("HEAD", "/v1/health")

    assert (answer.status_code, answer.data) == (200, b"")


def test_without_a_key_nobody_is_let_in(targets: Mapping[str, Any]) -> None:
    answer = targets["api"].get("/v1/work-pools")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_body_over_the_limit_is_refused(call: Any) -> None:
    assert call("PUT", "/v1/work-pools/night", b"x" * (MAX_BODY_BYTES + 1)).status_code == 413


def test_a_wrong_content_type_is_told_by_the_core(call: Any) -> None:
    assert call("PUT", "/v1/work-pools/night", POOL, **{"Content-Type": "text/csv"}).status_code == 415


def test_the_runner_is_served_as_text(call: Any) -> None:
    answer = call("GET", "/v1/runner.py")

    assert answer.headers["Content-Type"].startswith("text/x-python")
    assert "def main" in answer.text


def test_what_a_container_reports_is_counted(call: Any, bench: ApiBench, capsys: pytest.CaptureFixture[str]) -> None:
    run = admitted(bench.store, make_run())
    token = bench.ring.sign(RunToken(run.id, 1, bench.clock.now() + timedelta(days=1)), key_id=bench.ring.current)
    for word in ({"state": "RUNNING"}, {"state": "COMPLETED", "exit_code": 0}):
        said = call("POST", "/v1/callbacks/state", {"instance": "i-1", **word}, Authorization=f"Bearer {token}")
        assert said.status_code == 200, said.text

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["figures"] == {"Completed": 1}


def test_a_function_that_cannot_work_says_why_in_the_log_alone(
    call: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise Misconfigured("PUSHPOOL_PUBLIC_URL is not set")

    monkeypatch.setattr(sys.modules["gcpfunctions"].parts, "api", fail)

    answer = call("GET", "/v1/health")

    assert (answer.status_code, answer.data) == (500, b"")
    assert caplog.records[-1].__dict__["why"] == "PUSHPOOL_PUBLIC_URL is not set"
