"""What is refused before any operation sees it: paths, methods, headers, bodies, queries. Nothing is stored then."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.sqlite import open_store
from dispatcher.errors import AdmissionRefused, Misconfigured, PushpoolError, StoreUnavailable, Unreachable
from dispatcher.http.messages import MAX_BODY_BYTES, PROBLEM
from dispatcher.testing.api_bench import Answer, ApiBench

POOL = "/v1/work-pools/local"


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench().with_pool().with_deployment()


def refused(bench: ApiBench, *args: Any, **how: Any) -> Answer:
    """The problem that came back; nothing was stored."""
    before = bench.contents()
    answer = bench.call(*args, **how)
    assert answer.headers["Content-Type"] == PROBLEM
    assert answer.json["status"] == answer.status
    assert "\n" not in answer.json["detail"]
    assert bench.contents() == before
    return answer


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/runs/", "//v1/runs", "/v1/work-pools//pause", ""])
def test_a_path_that_no_route_has_is_404(bench: ApiBench, path: str) -> None:
    assert refused(bench, "GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", POOL, "DELETE, GET, HEAD, PUT"),
        ("GET", "/v1/runs/cancel", "POST"),
        ("OPTIONS", "/v1/runs", "GET, HEAD"),
        ("HEAD", "/v1/callbacks/state", "POST"),
    ],
)
def test_another_method_is_405_and_says_which_there_are(bench: ApiBench, method: str, path: str, allowed: str) -> None:
    answer = bench.call(method, path)

    assert answer.status == 405
    assert answer.headers["Allow"] == allowed


def test_head_answers_as_get_without_a_body(bench: ApiBench) -> None:
    got, head = bench.call("GET", POOL), bench.call("HEAD", POOL)

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.body))


@pytest.mark.parametrize("name", ["-a", "a b", "%E2%82%AC", "a%2Fb", "x" * 101, "%FF", "a%0A", ".."])
def test_a_name_that_is_none_is_422_and_named(bench: ApiBench, name: str) -> None:
    answer = refused(bench, "PUT", f"/v1/work-pools/{name}", {"type": "process"})

    assert answer.status == 422
    assert list(answer.faults) == ["pool"]


def test_a_name_may_be_percent_encoded(bench: ApiBench) -> None:
    assert bench.call("GET", "/v1/work-pools/%6Cocal").json["name"] == "local"


def test_a_body_over_the_limit_is_413_and_the_limit_is_said(bench: ApiBench) -> None:
    answer = refused(bench, "PUT", POOL, b"[" + b"1," * 5_000_000 + b"1]")

    assert answer.status == 413
    assert str(MAX_BODY_BYTES) in answer.json["detail"]


def test_a_body_that_is_declared_over_the_limit_is_not_waited_for(bench: ApiBench) -> None:
    headers = {"content-length": str(MAX_BODY_BYTES + 1)}

    assert refused(bench, "PUT", POOL, b"{}", headers=headers).status == 413


@pytest.mark.parametrize("said", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_is_not_said_to_be_json_is_415(bench: ApiBench, said: str) -> None:
    answer = refused(bench, "PUT", POOL, b"{}", headers={"content-type": said})

    assert answer.status == 415
    assert "application/json" in answer.json["detail"]


def test_a_media_type_may_have_parameters(bench: ApiBench) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}

    assert bench.call("POST", "/v1/deployments/report/runs", {}, headers=headers).status == 201


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nothing",
        b'{"a": NaN}',
        b'{"parameters": {"a": -Infinity}}',
        b'{"parameters": {"a": 1e999}}',
        b'{"parameters": {"a": [[1e999]]}}',
        b'{"parameters": {"a": ' + b"9" * 5000 + b"}}",
        b'"\\ud800"',
        b"\xff\xfe",
        b"[" * 1000 + b"]" * 1000,
    ],
)
def test_a_body_that_is_no_json_is_400(bench: ApiBench, body: bytes) -> None:
    assert refused(bench, "POST", "/v1/deployments/report/runs", body).status == 400


def test_a_missing_body_is_refused(bench: ApiBench) -> None:
    assert refused(bench, "PUT", POOL).status == 415


@pytest.mark.parametrize("body", [[], "text", 1, None])
def test_a_body_must_be_an_object(bench: ApiBench, body: Any) -> None:
    assert refused(bench, "PUT", POOL, json.dumps(body).encode()).status == 422


def test_everything_that_is_wrong_is_told_at_once(bench: ApiBench) -> None:
    form = {"pool": "a b", "retries": "3", "schedules": [{"cron": 1}], "colour": "red"}

    answer = refused(bench, "PUT", "/v1/deployments/x", form)

    assert answer.status == 422
    assert set(answer.faults) == {"pool", "retries", "schedules.0.cron", "colour"}


def test_no_value_that_was_sent_is_repeated(bench: ApiBench) -> None:
    hook = {"url": "https://example.org", "on": ["s3cret-a"], "secret": 5, "token": "s3cret-b"}
    form = {"pool": "local", "webhooks": [hook], "job_variables": "s3cret-c", "retries": "s3cret-d"}

    answer = refused(bench, "PUT", "/v1/deployments/x", form)

    assert answer.status == 422
    assert b"s3cret" not in answer.body


def test_a_long_list_of_faults_is_cut(bench: ApiBench) -> None:
    answer = refused(bench, "PUT", "/v1/deployments/x", {f"key{n}": n for n in range(500)})

    assert len(answer.json["errors"]) == 20
    assert "(and 481 more)" in answer.json["detail"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=1.0", "limit=+5", "limit=1_0", "limit=", "limit=5&limit=6", "page=2",
     "since=1735689600", "since=2026-01-01T00:00:00", "until=0001-01-01T00:00:00Z", "state=Lost", "cursor=",
     "tag=", "deployment=a%20b", "deployment=%00"],
)  # fmt: skip
def test_a_query_that_is_wrong_is_422_and_names_the_part(bench: ApiBench, query: str) -> None:
    answer = refused(bench, "GET", "/v1/runs", query=query)

    assert answer.status == 422
    assert {path.partition(".")[0] for path in answer.faults} == {query.partition("=")[0]}


@pytest.mark.parametrize("query", ["force=1", "force=yes", "force=", "force=True"])
def test_a_flag_is_true_or_false(bench: ApiBench, query: str) -> None:
    assert refused(bench, "DELETE", POOL, query=query).status == 422


@pytest.mark.parametrize("query", ["deployment=%ff", "&".join(f"tag={n}" for n in range(300))])
def test_a_query_that_cannot_be_read_is_400(bench: ApiBench, query: str) -> None:
    assert refused(bench, "GET", "/v1/runs", query=query).status == 400


@pytest.mark.parametrize("cursor", ["x", "%22", "bm90aGluZw", "W10"])
def test_a_cursor_of_nowhere_is_422(bench: ApiBench, cursor: str) -> None:
    answer = refused(bench, "GET", "/v1/runs", query=f"cursor={cursor}")

    assert answer.status == 422
    assert list(answer.faults) == ["cursor"]


@pytest.mark.parametrize("key", [["run", 10**30, "x"], ["run", True, "x"], ["record", "x"], ["run"]])
def test_a_cursor_that_was_made_up_is_422(tmp_path: Path, key: list[Any]) -> None:
    bench = ApiBench(open_store(str(tmp_path / "pushpool.db")))
    cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")

    answer = bench.call("GET", "/v1/runs", query=f"cursor={cursor}")

    assert (answer.status, list(answer.faults)) == (422, ["cursor"])


class _Failing:
    """A store of which every call fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*args: object, **how: object) -> None:
            raise self._error

        return fail


def _answer_when(error: Exception) -> Answer:
    bench = ApiBench()
    bench.api.context = _with_store(bench, _Failing(error))
    return bench.call("POST", "/v1/work-pools/local/pause")


def _with_store(bench: ApiBench, store: Any) -> Any:
    return type(bench.context)(
        store, bench.context.infrastructure, bench.waker, bench.ring, bench.clock, bench.context.api_url
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnavailable("the store is busy"), 503),
        (Unreachable("the cloud did not answer"), 503),
        (AdmissionRefused(), 409),
        (Misconfigured("the file is read-only"), 500),
        (PushpoolError("something else"), 500),
    ],
)
def test_an_error_of_ours_is_said_with_its_status(error: Exception, status: int) -> None:
    answer = _answer_when(error)

    assert answer.status == status
    assert answer.json["detail"] == str(error)


def test_what_may_succeed_later_says_when() -> None:
    assert _answer_when(StoreUnavailable("busy")).headers["Retry-After"] == "1"


def test_an_unexpected_error_is_500_logged_once_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pushpool"):
        answer = _answer_when(ZeroDivisionError("password=hunter2"))

    assert answer.status == 500
    assert b"hunter2" not in answer.body
    assert b"ZeroDivision" not in answer.body
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_answers_are_not_to_be_kept(bench: ApiBench) -> None:
    headers = bench.call("GET", POOL).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
