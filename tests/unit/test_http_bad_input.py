"""What people get wrong: refused in one line that names the thing and the way out, and nothing is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatcher.testing.api_bench import TEMPLATE, Answer, ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import KeyRing, RunToken

POOL, DEPLOYMENT, RUNS = "/v1/work-pools/new", "/v1/deployments/new", "/v1/deployments/report/runs"
SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench().with_pool().with_deployment(parameter_schema=SCHEMA)


def refused(bench: ApiBench, method: str, path: str, form: Any, *words: str, **how: Any) -> Answer:
    """It is a problem of one line that has those words; everything is as it was."""
    before = bench.contents()
    wakes = len(bench.waker.wakes)

    answer = bench.call(method, path, form, **how)

    assert 400 <= answer.status < 500, answer.body
    detail = answer.json["detail"]
    assert "\n" not in detail
    for word in words:
        assert word in detail
    assert bench.contents() == before
    assert len(bench.waker.wakes) == wakes
    return answer


def _template(**configuration: str) -> dict[str, Any]:
    return {**TEMPLATE, "job_configuration": {**TEMPLATE["job_configuration"], **configuration}}


def test_an_unknown_pool_type(bench: ApiBench) -> None:
    answer = refused(bench, "PUT", POOL, {"type": "mainframe"}, "'mainframe'", "process")

    assert (answer.status, list(answer.faults)) == (422, ["type"])


def test_a_placeholder_that_nobody_declared(bench: ApiBench) -> None:
    form = {"type": "process", "base_job_template": _template(colour="{{ colour }}")}

    assert refused(bench, "PUT", POOL, form, "colour").status == 422


@pytest.mark.parametrize("template", [{}, {"job_configuration": []}, {"variables": {"type": "nothing"}}])
def test_a_template_that_is_none(bench: ApiBench, template: Any) -> None:
    assert refused(bench, "PUT", POOL, {"type": "process", "base_job_template": template}).status == 422


def test_a_template_that_is_too_long(bench: ApiBench) -> None:
    form = {"type": "process", "base_job_template": _template(name="x" * 70_000)}

    assert refused(bench, "PUT", POOL, form, "65536").status == 413


def test_a_pool_default_of_an_unknown_variable(bench: ApiBench) -> None:
    form = {"type": "process", "base_job_template": TEMPLATE, "variables": {"colour": "red"}}

    assert refused(bench, "PUT", POOL, form, "colour").status == 422


def test_a_deployment_that_names_a_missing_pool(bench: ApiBench) -> None:
    answer = refused(bench, "PUT", DEPLOYMENT, {"pool": "none"}, "'none'", "work-pool ls")

    assert (answer.status, list(answer.faults)) == (422, ["pool"])


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        ({"cron": "0 0 30 2 *"}, "0 0 30 2 *"),
        ({"cron": "every day"}, "every day"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"interval": 60, "cron": "* * * * *"}, "interval"),
        ({}, "cron, interval and rrule"),
        ({"rrule": "FREQ=SOMETIMES"}, "SOMETIMES"),
        ({"interval": 60, "anchor_date": "soon"}, "soon"),
        ({"interval": 60, "anchor_date": "0001-01-01T00:00:00+14:00"}, "anchor_date"),
        ({"interval": 60, "anchor_date": "9999-12-31T23:59:00Z", "timezone": "Asia/Tokyo"}, "anchor_date"),
        ({"interval": 1e300}, ""),
    ],
)
def test_a_schedule_without_dates(bench: ApiBench, schedule: dict[str, Any], word: str) -> None:
    form = {"pool": "local", "command": ["true"], "schedules": [schedule]}

    assert refused(bench, "PUT", DEPLOYMENT, form, word).status == 422
    bench.with_deployment("other")
    assert refused(bench, "POST", "/v1/deployments/other/schedules", schedule, word).status == 422


def test_the_same_schedule_twice(bench: ApiBench) -> None:
    schedules = [{"cron": "@daily", "slug": "s"}, {"cron": "@hourly", "slug": "s"}]

    answer = refused(bench, "PUT", DEPLOYMENT, {"pool": "local", "schedules": schedules}, "'s'", "twice")

    assert list(answer.faults) == ["schedules.1"]


def test_a_parameter_that_fails_its_schema(bench: ApiBench) -> None:
    assert refused(bench, "POST", RUNS, {"parameters": {"day": 5}}, "day").status == 422


def test_a_parameter_that_is_missing(bench: ApiBench) -> None:
    assert refused(bench, "POST", RUNS, {}, "day").status == 422


def test_a_default_that_fails_its_own_schema(bench: ApiBench) -> None:
    form = {"pool": "local", "parameter_schema": SCHEMA, "parameters": {"day": 5}}

    assert refused(bench, "PUT", DEPLOYMENT, form, "day").status == 422


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "https://example.org/schema"}, {"pattern": "("}])
def test_a_parameter_schema_that_is_none(bench: ApiBench, schema: Any) -> None:
    assert refused(bench, "PUT", DEPLOYMENT, {"pool": "local", "parameter_schema": schema}).status == 422


def test_parameters_that_are_too_long(bench: ApiBench) -> None:
    assert refused(bench, "POST", RUNS, {"parameters": {"day": "x" * 300_000}}, "262144").status == 413


def test_a_locked_variable_that_is_overridden(bench: ApiBench) -> None:
    form = {"pool": "local", "job_variables": {"region": "us"}}

    assert refused(bench, "PUT", DEPLOYMENT, form, "region").status == 422
    run = {"parameters": {"day": "d"}, "job_variables": {"region": "us"}}
    assert refused(bench, "POST", RUNS, run, "region").status == 422


def test_an_unknown_job_variable(bench: ApiBench) -> None:
    run = {"parameters": {"day": "d"}, "job_variables": {"regoin": "eu"}}

    assert refused(bench, "POST", RUNS, run, "regoin").status == 422


def test_an_entrypoint_beside_a_command(bench: ApiBench) -> None:
    form = {"pool": "local", "entrypoint": "f.py:main", "command": ["true"]}

    refused(bench, "PUT", DEPLOYMENT, form, "either entrypoint or command")


@pytest.mark.parametrize("url", ["http://example.org/", "file:///etc/passwd", "nothing", "https://[", "https://a:b@c/"])
def test_a_webhook_that_has_no_public_address(bench: ApiBench, url: str) -> None:
    form = {"pool": "local", "command": ["true"], "webhooks": [{"url": url, "on": ["failed"]}]}

    assert refused(bench, "PUT", DEPLOYMENT, form).status == 422


def test_too_many_tags(bench: ApiBench) -> None:
    answer = refused(bench, "POST", RUNS, {"parameters": {"day": "d"}, "tags": [f"t{n}" for n in range(51)]})

    assert list(answer.faults) == ["tags"]


def test_a_run_of_a_deployment_that_does_not_exist(bench: ApiBench) -> None:
    assert refused(bench, "POST", "/v1/deployments/none/runs", {}, "'none'", "deployment ls").status == 404


def test_a_body_of_ten_megabytes(bench: ApiBench) -> None:
    assert refused(bench, "PUT", POOL, b" " * 10_000_000, "1048576").status == 413


def test_a_callback_with_a_foreign_token(bench: ApiBench) -> None:
    run = admitted(bench.store, make_run())
    foreign = KeyRing.generate()
    token = foreign.sign(RunToken(run.id, 1, bench.clock.now() + timedelta(hours=1)), key_id=foreign.current)
    word = {"state": "RUNNING", "instance": "i"}

    assert refused(bench, "POST", "/v1/callbacks/state", word, "not valid", key=token).status == 401
