"""Secret job variables are shown nowhere, and survive being sent back as they were shown."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.pools import WorkPool
from dispatcher.records import read, remove
from dispatcher.testing.api_bench import TEMPLATE, ApiBench

SECRET, STARS = "hunter22", "********"
FORM = {"type": "process", "base_job_template": TEMPLATE}
POOL, DEPLOYMENT = "/v1/work-pools/local", "/v1/deployments/report"


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench().with_pool(variables={"password": SECRET, "env": {"A": "1"}})
    return bench.with_deployment(job_variables={"password": SECRET})


def test_no_view_shows_a_secret(bench: ApiBench) -> None:
    run = bench.new_run()

    for path in ("/v1/work-pools", POOL, "/v1/deployments", DEPLOYMENT, "/v1/runs", f"/v1/runs/{run['id']}"):
        assert SECRET not in bench.call("GET", path).body.decode(), path
    assert bench.call("GET", POOL).json["variables"] == {"password": "********", "env": {"A": "1"}}


def test_a_run_may_not_name_a_secret(bench: ApiBench) -> None:
    refused = bench.call("POST", f"{DEPLOYMENT}/runs", {"job_variables": {"password": SECRET}})

    assert refused.status == 422
    assert "variable 'password' names secrets of this installation, and a run may not" in refused.body.decode()
    assert SECRET not in refused.body.decode()


def test_the_default_of_a_secret_variable_is_not_shown(bench: ApiBench) -> None:
    properties: dict[str, Any] = {**TEMPLATE["variables"]["properties"]}
    properties["password"] = {**properties["password"], "default": SECRET}
    template = {**TEMPLATE, "variables": {**TEMPLATE["variables"], "properties": properties}}
    bench.with_pool(base_job_template=template)

    shown = bench.call("GET", POOL)
    form = {key: shown.json[key] for key in ("type", "base_job_template", "variables")}

    assert SECRET not in shown.body.decode()
    assert bench.call("PUT", POOL, {**form, "description": "changed"}).json["change"] == "changed"
    kept = read(bench.store, WorkPool, "local")
    assert kept is not None
    assert kept.base_job_template == template


def test_stars_that_are_sent_back_stand_for_what_is_kept(bench: ApiBench) -> None:
    pool = bench.call("GET", POOL).json
    deployment = bench.call("GET", DEPLOYMENT).json

    sent = {key: pool[key] for key in ("type", "base_job_template", "variables")}
    assert bench.call("PUT", POOL, sent).json["change"] == "unchanged"
    sent = {key: deployment[key] for key in ("pool", "command", "job_variables")}
    assert bench.call("PUT", DEPLOYMENT, sent).json["change"] == "unchanged"


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PUT", "/v1/work-pools/new", {**FORM, "variables": {"password": STARS}}),
        ("PUT", "/v1/deployments/new", {"pool": "local", "job_variables": {"env": {"A": STARS}}}),
        ("POST", f"{DEPLOYMENT}/runs", {"job_variables": {"password": STARS}}),
    ],
)  # fmt: skip
def test_stars_that_stand_for_nothing_are_refused(bench: ApiBench, method: str, path: str, form: Any) -> None:
    before = bench.contents()

    answer = bench.call(method, path, form)

    assert answer.status == 422
    assert "send the value" in answer.json["detail"]
    assert bench.contents() == before


def test_a_secret_that_does_not_fit_is_not_quoted(bench: ApiBench) -> None:
    answer = bench.call("POST", f"{DEPLOYMENT}/runs", {"job_variables": {"password": [SECRET]}})

    assert answer.status == 422
    assert SECRET not in answer.body.decode()


def test_without_its_pool_nothing_of_a_runs_variables_is_shown(bench: ApiBench) -> None:
    run = bench.new_run(job_variables={"env": {"A": SECRET}})
    pool = read(bench.store, WorkPool, "local")
    assert pool is not None
    remove(bench.store, pool)

    assert bench.call("GET", f"/v1/runs/{run['id']}").json["job_variables"] == {"env": STARS}
