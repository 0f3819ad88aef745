"""Whatever is sent to the API, a defined answer comes back; whatever looks like a run token and is none is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.http.messages import JSON, Request
from dispatcher.http.routes import ROUTES
from dispatcher.testing.api_bench import TEMPLATE, Answer, ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import RunToken

if TYPE_CHECKING:
    from tests.security.conftest import Lines

Json = dict[str, Any]
Mutated = Callable[[Any], st.SearchStrategy[Any]]

INSTANCE = "i-1"
CALLBACKS: Mapping[str, Json] = {
    "/v1/callbacks/state": {
        "state": "FAILED",
        "instance": INSTANCE,
        "exit_code": 3,
        "signalled": False,
        "message": "exit code 3",
        "log_tail": "boom",
    },
    "/v1/callbacks/heartbeat": {"instance": INSTANCE},
}
SCHEDULES: list[Json] = [
    {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "slug": "night", "parameters": {"a": 2}, "catchup": "all"},
    {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z", "max_lateness_seconds": 60},
    {"rrule": "DTSTART:20260101T000000 RRULE:FREQ=DAILY;COUNT=3", "active": True},
]
POOL: Json = {
    "type": "process", "base_job_template": json.loads(json.dumps(TEMPLATE)), "description": "d",
    "variables": {"env": {"A": "1"}}, "concurrency_limit": 3,
}  # fmt: skip
DEPLOYMENT: Json = {
    "pool": "local", "queue": "high", "command": ["true"], "parameters": {"a": 1},
    "parameter_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "job_variables": {"env": {"A": "1"}, "env.B": "2"}, "tags": ["t"], "schedules": SCHEDULES, "concurrency_limit": 2,
    "retries": 1, "timeout_seconds": 60, "webhooks": [{"url": "https://hooks.example/x", "on": ["failed"]}],
}  # fmt: skip
FORMS: tuple[tuple[str, str, Json], ...] = (
    ("PUT", "/v1/work-pools/new", POOL),
    ("PUT", "/v1/work-pools/local/queues/high", {"priority": 1, "concurrency_limit": 1, "description": "d"}),
    ("PUT", "/v1/deployments/new", DEPLOYMENT),
    *(("POST", "/v1/deployments/report/schedules", schedule) for schedule in SCHEDULES),
    (
        "POST", "/v1/deployments/report/runs",
        {"parameters": {"a": 1}, "job_variables": {"env": {"A": "1"}}, "scheduled_time": "2026-03-01T12:00:00Z",
         "idempotency_key": "k", "tags": ["t"], "name": "n", "queue": "default"},
    ),
    ("POST", "/v1/runs/cancel", {"deployment": "none", "types": ["RUNNING"], "since": "2026-01-01T00:00:00Z"}),
    ("POST", "/v1/api-keys", {"name": "ci", "scope": "read", "expires": "2027-01-01T00:00:00Z"}),
)  # fmt: skip
REFUSALS = {400, 401, 409, 413, 415, 422}


class Container:
    """An installation with a run that is RUNNING in a container, which has its token, and another run beside it."""

    def __init__(self) -> None:
        self.bench = ApiBench().with_pool().with_deployment()
        run = admitted(self.bench.store, make_run())
        expires = self.bench.clock.now() + timedelta(days=2)
        self.token = self.bench.ring.sign(RunToken(run.id, 1, expires), key_id=self.bench.ring.current)
        self.other = admitted(self.bench.store, make_run())
        claim = {"state": "RUNNING", "instance": INSTANCE}
        assert self.bench.call("POST", "/v1/callbacks/state", claim, key=self.token).status == 200

    def send(self, path: str, body: bytes, **headers: str) -> Answer:
        return self.bench.call("POST", path, body, key=self.token, headers=headers)


@pytest.fixture(scope="module")
def container() -> Container:
    return Container()


@pytest.fixture(autouse=True)
def _nothing_unexpected(lines: Lines) -> Iterator[None]:
    lines.records.clear()
    yield
    assert not lines.said("request failed"), "the last resort had to answer"


def check_defined(answer: Answer) -> None:
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["detail"]
        assert "Traceback" not in answer.json["detail"]


@pytest.mark.parametrize("path", CALLBACKS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_callbacks_body_may_be_anything(
    path: str, container: Container, mutated: Mutated, data: st.DataObject
) -> None:
    body = data.draw(mutated(CALLBACKS[path]))
    body["state"] = data.draw(st.just("RUNNING") | st.just(body.get("state")))
    answer = container.send(path, json.dumps(body).encode())

    check_defined(answer)
    assert answer.status in {200} | REFUSALS
    assert container.bench.store.get_run(container.other.id) == container.other


@pytest.mark.parametrize("path", CALLBACKS)
@settings(max_examples=60)
@given(body=st.binary() | st.text().map(str.encode))
@example(body=b"[" * 500_000)
@example(body=b'{"a":' * 200_000)
@example(body=b"9" * 500_000)
@example(body=b'{"instance": "\\ud800"}')
@example(body=b'{"instance": "i-1", "instance": "i-2", "state": "RUNNING", "state": "FAILED"}')
@example(body=b" " * (1024 * 1024 + 1))
def test_a_callbacks_body_may_be_no_json(path: str, body: bytes, container: Container) -> None:
    answer = container.send(path, body)

    check_defined(answer)
    assert answer.status in {200} | REFUSALS


HEADER = st.text(st.characters(codec="latin-1"), max_size=40) | st.sampled_from(
    ["", "\x00", "application/json; charset=utf-16", "APPLICATION/JSON", "9" * 5000, "-1", "1e9", "gzip", "²", "bearer"]
)
NAMES = st.sampled_from(
    ["content-type", "content-length", "content-encoding", "transfer-encoding", "host", "x-forwarded-for",
     "authorization", "x-http-method-override", "expect", "cookie", "accept", "x-pushpool-run", ""]
)  # fmt: skip


@settings(max_examples=150)
@given(headers=st.dictionaries(NAMES, HEADER, max_size=4))
def test_headers_may_be_anything(headers: dict[str, str], container: Container) -> None:
    answer = container.send("/v1/callbacks/heartbeat", b'{"instance": "i-1"}', **headers)

    check_defined(answer)
    assert container.bench.store.get_run(container.other.id) == container.other


def _near(token: str) -> st.SearchStrategy[str]:
    """A token with characters changed, put in or taken out, or with its parts exchanged."""
    places = st.integers(0, len(token) - 1)
    letters = st.text(max_size=3) | st.sampled_from(["=", "==", ".", "%2e", "\x00", "+", "/", "A", "v2"])
    parts = token.split(".")
    return (
        st.builds(lambda at, text, cut: token[:at] + text + token[at + cut :], places, letters, st.integers(0, 3))
        | st.permutations(parts).map(".".join)
        | st.builds(lambda at, text: ".".join([*parts[:at], text, *parts[at + 1 :]]), st.integers(0, 3), st.text())
        | st.sampled_from([token.upper(), token.lower(), token * 2, token + "=", parts[2], token[:-1], f'"{token}"'])
    )


@settings(max_examples=400)
@given(data=st.data())
def test_nothing_but_the_token_itself_is_believed(container: Container, data: st.DataObject) -> None:
    presented = data.draw(st.text() | _near(container.token)).strip()
    before = container.bench.contents()

    answer = container.bench.call("POST", "/v1/callbacks/state", CALLBACKS["/v1/callbacks/state"], key=presented)

    if presented != container.token:
        assert answer.status == 401
        assert container.bench.contents() == before


@settings(max_examples=150)
@given(data=st.data())
def test_nothing_but_a_key_itself_is_let_in(container: Container, data: st.DataObject) -> None:
    key = next(iter(container.bench.keys.values()))
    presented = data.draw(st.text() | _near(f"{key}.x.y.z").map(lambda text: text.removesuffix(".x.y.z")))

    answer = container.bench.call("GET", "/v1/runs", key=presented or "x")

    assert answer.status == 200 if presented.strip() == key else answer.status == 401


@pytest.mark.parametrize(
    "presented", ["pp_" + "a" * 60_000 + "_x", "pp_é_x", "pp_a_\ud800", "pp__", "pp_\x00_x", "_" * 9]
)
def test_a_key_of_no_shape_of_ours_is_not_even_looked_up(presented: str, container: Container) -> None:
    """A store may not take every text for a name."""
    assert container.bench.call("GET", "/v1/runs", key=presented).status == 401


@pytest.mark.parametrize(("method", "path", "form"), FORMS, ids=lambda part: part if isinstance(part, str) else "")
@settings(max_examples=60)
@given(data=st.data())
def test_a_form_may_hold_anything(
    method: str, path: str, form: Json, container: Container, mutated: Mutated, data: st.DataObject
) -> None:
    answer = container.bench.call(method, path, json.dumps(data.draw(mutated(form))).encode())

    check_defined(answer)
    assert answer.status in {200, 201} | REFUSALS
    if method == "PUT" and answer.status < 300:
        check_defined(container.bench.call("GET", path))


@settings(max_examples=150)
@given(
    route=st.sampled_from(ROUTES),
    name=st.text(max_size=20) | st.sampled_from(["%00", "..", "%2e%2e%2f", "%ff", "a" * 300, "%F0%9F", "*", "{pool}"]),
    query=st.text(max_size=40)
    | st.sampled_from(["limit=9" * 900, "a=%ff", "cursor=eyJ9", "since=0", "=&=&", "hours=1_0"]),
)
def test_a_path_and_its_query_may_be_anything(route: Any, name: str, query: str, container: Container) -> None:
    parts = ["" if not part else name if part.startswith("{") else part for part in route.path.split("/")]
    key = container.bench.keys.get(route.access) or container.token
    headers = {"authorization": f"Bearer {key}", "content-type": JSON}
    method = route.method if route.method != "DELETE" else "GET"

    answer = container.bench.api.answer(Request(method, "/".join(parts), query, headers, b""))

    assert answer.status < 500
