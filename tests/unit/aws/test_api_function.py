"""HTTP API events, answered by the core's routes through Chalice."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from dispatcher.api_keys import Scope
from dispatcher.http.messages import MAX_BODY_BYTES
from dispatcher.http.routes import ROUTES
from dispatcher.testing.api_bench import TEMPLATE, ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import RunToken

Json = dict[str, Any]


def http_event(
    method: str, path: str, body: Json | bytes | None = None, *, query: str = "", headers: dict[str, str] | None = None
) -> Json:
    """As an HTTP API sends it: "Working with AWS Lambda proxy integrations for HTTP APIs", payload format 2.0."""
    event: Json = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "isBase64Encoded": isinstance(body, bytes),
    }
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else json.dumps(body)
    return event


@pytest.fixture
def call(app: ModuleType, bench: ApiBench) -> Any:
    def called(method: str, path: str, body: Json | bytes | None = None, *, query: str = "", **headers: str) -> Json:
        headers = {"authorization": f"Bearer {bench.keys[Scope.ADMIN]}", **headers}
        answer: Json = app.api(http_event(method, path, body, query=query, headers=headers), None)
        assert isinstance(answer["body"], str)
        return answer

    return called


POOL = {"type": "process", "base_job_template": dict(TEMPLATE)}


def test_every_route_of_the_core_is_one_of_chalice(app: ModuleType) -> None:
    bound = {(method, path) for path, methods in app.app.routes.items() for method in methods}

    assert bound == {(route.method, route.path) for route in ROUTES} | {("GET", "/")}


def test_a_body_and_the_names_in_a_path_arrive_and_the_answer_goes_out(call: Any) -> None:
    made = call("PUT", "/v1/work-pools/night", POOL)
    shown = call("GET", "/v1/work-pools/night")

    assert (made["statusCode"], shown["statusCode"]) == (201, 200)
    assert json.loads(shown["body"])["name"] == "night"
    assert shown["headers"]["Content-Type"] == "application/json"


def test_a_body_that_came_in_base64_is_read(call: Any) -> None:
    assert call("PUT", "/v1/work-pools/night", json.dumps(POOL).encode())["statusCode"] == 201


def test_a_query_arrives_with_all_that_it_repeats(call: Any) -> None:
    call("PUT", "/v1/work-pools/night", POOL)

    good = call("GET", "/v1/runs", query="state=FAILED&state=CRASHED&limit=5")
    bad = call("GET", "/v1/runs", query="limit=none")

    assert good["statusCode"] == 200
    assert bad["statusCode"] == 422
    assert "limit" in bad["body"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/nowhere", 404), ("PATCH", "/v1/health", 405), ("GET", "/v1/runs/%FF", 422)],
)
def test_what_no_route_is_for_is_told_by_the_core(call: Any, method: str, path: str, status: int) -> None:
    answer = call(method, path)

    assert answer["statusCode"] == status
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert json.loads(answer["body"])["status"] == status


def test_head_is_get_without_the_body(call: Any) -> None:
    answer = call("HEAD", "/v1/health")

    assert (answer["statusCode"], answer["body"]) == (200, "")


def test_without_a_key_nobody_is_let_in(app: ModuleType) -> None:
    answer = app.api(http_event("GET", "/v1/work-pools"), None)

    assert answer["statusCode"] == 401
    assert answer["headers"]["WWW-Authenticate"].startswith("Bearer")


def test_a_body_over_the_limit_is_refused(call: Any) -> None:
    assert call("PUT", "/v1/work-pools/night", b"x" * (MAX_BODY_BYTES + 1))["statusCode"] == 413


def test_a_wrong_content_type_is_told_by_the_core(call: Any) -> None:
    answer = call("PUT", "/v1/work-pools/night", POOL, **{"content-type": "text/csv"})

    assert answer["statusCode"] == 415
    assert answer["headers"]["Content-Type"] == "application/problem+json"


def test_the_runner_is_served_as_text(call: Any) -> None:
    answer = call("GET", "/v1/runner.py")

    assert answer["headers"]["Content-Type"].startswith("text/x-python")
    assert "def main" in answer["body"]


def test_what_a_container_reports_is_counted(call: Any, bench: ApiBench, capsys: pytest.CaptureFixture[str]) -> None:
    run = admitted(bench.store, make_run())
    token = bench.ring.sign(RunToken(run.id, 1, bench.clock.now() + timedelta(days=1)), key_id=bench.ring.current)
    for word in ({"state": "RUNNING"}, {"state": "COMPLETED", "exit_code": 0}):
        said = call("POST", "/v1/callbacks/state", {"instance": "i-1", **word}, authorization=f"Bearer {token}")
        assert said["statusCode"] == 200, said

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["Completed"] == 1
