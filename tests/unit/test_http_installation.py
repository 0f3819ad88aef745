"""Health, templates, the runner's source, API keys, metrics, the OpenAPI document."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher import pulses, runner
from dispatcher.api_keys import Scope
from dispatcher.http.handlers.installation import installation_of, version
from dispatcher.http.openapi import document
from dispatcher.http.routes import ROUTES
from dispatcher.ports import PoolUnavailable
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.builders import admitted, make_run, parked
from dispatcher.testing.memory import MemoryStore


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


def test_health_names_the_installation_which_is_the_stores(bench: ApiBench) -> None:
    said = [bench.call("GET", "/v1/health", key=None).json for _ in range(2)]

    assert said[0] == said[1] == {"status": "ok", "version": version(), "installation": installation_of(bench.store)}
    assert installation_of(MemoryStore()) != said[0]["installation"]


def test_the_runner_is_handed_out_as_it_is(bench: ApiBench) -> None:
    answer = bench.call("GET", "/v1/runner.py", key=None)

    assert answer.body == Path(runner.__file__).read_bytes()
    assert answer.headers["Content-Type"].startswith("text/x-python")


def test_a_shipped_template_is_what_a_pool_without_one_gets(bench: ApiBench) -> None:
    shipped = bench.call("GET", "/v1/templates/process").json
    pool = bench.call("PUT", "/v1/work-pools/local", {"type": "process"}).json

    assert shipped == {"type": "process", "base_job_template": pool["base_job_template"]}


def test_a_template_that_nobody_ships_is_404(bench: ApiBench) -> None:
    answer = bench.call("GET", "/v1/templates/nowhere:push")

    assert answer.status == 404
    assert "'nowhere:push'" in answer.json["detail"]


def test_a_key_is_created_used_listed_and_revoked(bench: ApiBench) -> None:
    created = bench.call("POST", "/v1/api-keys", {"name": "ci", "scope": "run"})
    key, key_id = created.json["key"], created.json["id"]
    used = bench.call("GET", "/v1/runs", key=key)
    listed = {each["id"]: each for each in bench.call("GET", "/v1/api-keys").json["items"]}
    revoked = bench.call("DELETE", f"/v1/api-keys/{key_id}")

    assert (created.status, used.status, revoked.status) == (201, 200, 200)
    assert (listed[key_id]["name"], listed[key_id]["scope"]) == ("ci", "run")
    assert revoked.json["revoked"] == "2026-03-01T12:00:00Z"
    assert bench.call("GET", "/v1/runs", key=key).status == 401


def test_a_key_is_shown_once_and_kept_as_its_hash(bench: ApiBench) -> None:
    key = bench.call("POST", "/v1/api-keys", {"name": "ci", "scope": "run"}).json["key"]

    assert key not in bench.call("GET", "/v1/api-keys").body.decode()
    assert key not in bench.contents()
    assert key.split("_", 2)[2] not in bench.contents()


def test_a_key_may_expire_but_not_have_expired(bench: ApiBench) -> None:
    form = {"name": "ci", "scope": "read", "expires": "2026-03-01T13:00:00Z"}
    key = bench.call("POST", "/v1/api-keys", form).json["key"]
    before = bench.contents()

    too_late = bench.call("POST", "/v1/api-keys", {**form, "expires": "2026-03-01T12:00:00Z"})
    unchanged = bench.contents() == before
    bench.clock.move(timedelta(hours=1))

    assert (too_late.status, unchanged) == (422, True)
    assert bench.call("GET", "/v1/runs", key=key).status == 401


def test_only_an_admin_sees_or_makes_keys(bench: ApiBench) -> None:
    for scope in (Scope.READ, Scope.RUN):
        assert bench.call("GET", "/v1/api-keys", key=bench.keys[scope]).status == 403
        assert bench.call("POST", "/v1/api-keys", {}, key=bench.keys[scope]).status == 403


def test_a_key_that_does_not_exist_is_404(bench: ApiBench) -> None:
    assert bench.call("DELETE", "/v1/api-keys/0000").status == 404


def _metrics(bench: ApiBench) -> dict[str, float]:
    lines = bench.call("GET", "/v1/metrics").body.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_metrics_count_what_is_there(bench: ApiBench) -> None:
    bench.with_pool(concurrency_limit=3).with_pool("free")
    admitted(bench.store, make_run(pool="local"))
    parked(bench.store, make_run(pool="local"))
    bench.store.create_run(make_run(pool="local"))
    bench.store.create_run(make_run(pool="local", due_in=-timedelta(minutes=1)))
    bench.store.create_run(make_run(pool="local", due_in=timedelta(minutes=1)))
    pulses.opened(bench.store, "local", PoolUnavailable("no cluster"), bench.clock.now())

    found = _metrics(bench)

    queue = '{work_pool="local",work_queue="default"}'
    assert found == {
        'pushpool_slots_in_use{work_pool="local"}': 1,
        'pushpool_slots_in_use{work_pool="free"}': 0,
        'pushpool_slots_limit{work_pool="local"}': 3,
        f"pushpool_runs_waiting{queue}": 2,
        f"pushpool_runs_late{queue}": 1,
        'pushpool_runs_waiting{work_pool="free",work_queue="default"}': 0,
        'pushpool_runs_late{work_pool="free",work_queue="default"}': 0,
        'pushpool_runs_parked{work_pool="local"}': 1,
        'pushpool_runs_parked{work_pool="free"}': 0,
        'pushpool_oldest_overdue_seconds{work_pool="local"}': 60,
        'pushpool_oldest_overdue_seconds{work_pool="free"}': 0,
        'pushpool_circuit_open{work_pool="local"}': 1,
        'pushpool_circuit_open{work_pool="free"}': 0,
    }


def test_metrics_explain_themselves(bench: ApiBench) -> None:
    lines = bench.call("GET", "/v1/metrics").body.decode().splitlines()

    assert "# TYPE pushpool_slots_in_use gauge" in lines
    assert sum(line.startswith("# HELP") for line in lines) == sum(line.startswith("# TYPE") for line in lines) == 7


def test_the_document_is_served_and_whole(bench: ApiBench) -> None:
    answer = bench.call("GET", "/openapi.json", key=None)
    text = answer.body.decode()

    assert answer.json == json.loads(json.dumps(document(ROUTES)))
    assert answer.json["openapi"].startswith("3.1")
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(answer.json["components"]["schemas"])


def test_a_secured_operation_says_which_scheme_and_scope() -> None:
    paths = document(ROUTES)["paths"]

    assert paths["/v1/runs"]["get"]["security"] == [{"apiKey": []}]
    assert "`admin`" in paths["/v1/api-keys"]["get"]["description"]
    assert paths["/v1/callbacks/state"]["post"]["security"] == [{"runToken": []}]
    assert paths["/v1/health"]["get"]["security"] == []
