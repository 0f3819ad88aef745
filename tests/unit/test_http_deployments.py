"""Deployments and their schedules over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.testing.api_bench import ApiBench

REPORT = "/v1/deployments/report"
FULL: dict[str, Any] = {
    "pool": "local",
    "queue": "high",
    "description": "d",
    "command": ["python", "-m", "report"],
    "parameters": {"day": "today"},
    "parameter_schema": {"type": "object", "properties": {"day": {"type": "string"}}},
    "job_variables": {"env": {"A": "1"}},
    "tags": ["nightly"],
    "concurrency_limit": 1,
    "collision_strategy": "CANCEL_NEW",
    "retries": 2,
    "retry_delay_seconds": 30,
    "timeout_seconds": 600,
    "on_unknown": "retry",
}


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench().with_pool()


def test_registering_says_what_it_changed(bench: ApiBench) -> None:
    answers = [bench.call("PUT", REPORT, form) for form in (FULL, FULL, {**FULL, "retries": 3})]

    assert [(answer.status, answer.json["change"]) for answer in answers] == [
        (201, "created"),
        (200, "unchanged"),
        (200, "changed"),
    ]


def test_a_deployment_is_shown_as_it_was_registered(bench: ApiBench) -> None:
    bench.call("PUT", REPORT, FULL)

    shown = bench.call("GET", REPORT).json

    assert {key: shown[key] for key in FULL} == FULL
    assert shown["status"] == "NOT_READY"
    assert bench.call("GET", "/v1/work-pools/local/queues/high").status == 200


def test_a_schedule_is_shown_with_its_next_date_and_in_words(bench: ApiBench) -> None:
    schedules: list[dict[str, Any]] = [
        {"cron": "0 6 * * *", "timezone": "Europe/Paris", "slug": "daily", "catchup": "all"},
        {"interval": 1800, "anchor_date": "2026-03-01T12:10:00Z"},
        {"rrule": "FREQ=HOURLY", "active": False},
    ]
    bench.with_deployment(schedules=schedules)

    cron, interval, rrule = bench.call("GET", REPORT).json["schedules"]

    assert {key: cron[key] for key in schedules[0]} == schedules[0]
    assert (cron["next_at"], cron["description"]) == ("2026-03-02T05:00:00Z", "cron 0 6 * * * (Europe/Paris)")
    assert (interval["interval"], interval["next_at"]) == (1800, "2026-03-01T12:10:00Z")
    assert (rrule["rrule"], rrule["active"], rrule["next_at"]) == ("FREQ=HOURLY", False, None)


def test_the_schedules_of_a_paused_deployment_have_no_next_date(bench: ApiBench) -> None:
    bench.with_deployment(schedules=[{"interval": 60}])

    paused = bench.call("POST", f"{REPORT}/pause").json
    resumed = bench.call("POST", f"{REPORT}/resume").json

    assert (paused["paused"], paused["schedules"][0]["next_at"]) == (True, None)
    assert (resumed["paused"], resumed["schedules"][0]["next_at"]) == (False, "2026-03-01T12:01:00Z")


def test_schedules_are_added_replaced_paused_and_deleted_by_slug_or_id(bench: ApiBench) -> None:
    bench.with_deployment()

    added = bench.call("POST", f"{REPORT}/schedules", {"interval": 60, "slug": "often"})
    replaced = bench.call("POST", f"{REPORT}/schedules", {"interval": 90, "slug": "often"})
    other = bench.call("POST", f"{REPORT}/schedules", {"cron": "@daily"}).json["schedules"][1]["id"]
    paused = bench.call("POST", f"{REPORT}/schedules/often/pause")
    resumed = bench.call("POST", f"{REPORT}/schedules/often/resume")
    deleted = bench.call("DELETE", f"{REPORT}/schedules/{other}")

    assert (added.status, replaced.status) == (201, 200)
    assert [schedule["interval"] for schedule in replaced.json["schedules"]] == [90]
    assert [schedule["active"] for schedule in paused.json["schedules"]] == [False, True]
    assert [schedule["active"] for schedule in resumed.json["schedules"]] == [True, True]
    assert deleted.status == 204
    assert [schedule["slug"] for schedule in bench.call("GET", REPORT).json["schedules"]] == ["often"]


def test_one_schedule_may_take_the_place_of_all(bench: ApiBench) -> None:
    bench.with_deployment(schedules=[{"interval": 60}, {"interval": 90}])

    answer = bench.call("POST", f"{REPORT}/schedules", {"cron": "@daily"}, query="only=true")

    assert [schedule["cron"] for schedule in answer.json["schedules"]] == ["@daily"]


@pytest.mark.parametrize("action", ["POST {}/pause", "POST {}/resume", "DELETE {}"])
def test_an_unknown_schedule_is_404(bench: ApiBench, action: str) -> None:
    bench.with_deployment()
    method, path = action.split()

    answer = bench.call(method, path.format(f"{REPORT}/schedules/none"))

    assert answer.status == 404
    assert "'none'" in answer.json["detail"]


def test_deployments_are_listed_by_name_or_of_one_pool(bench: ApiBench) -> None:
    bench.with_pool("other").with_deployment("b").with_deployment("a", pool="other")

    everywhere = bench.call("GET", "/v1/deployments").json["items"]
    here = bench.call("GET", "/v1/deployments", query="pool=local").json["items"]

    assert [each["name"] for each in everywhere] == ["a", "b"]
    assert [each["name"] for each in here] == ["b"]


def test_deleting_cancels_what_waits(bench: ApiBench) -> None:
    bench.with_deployment()
    run = bench.new_run()

    assert bench.call("DELETE", REPORT).status == 204
    assert bench.call("GET", REPORT).status == 404
    assert bench.call("GET", f"/v1/runs/{run['id']}").json["state_type"] == "CANCELLED"


def test_a_webhook_secret_is_shown_as_a_fingerprint_that_stands_for_it(bench: ApiBench) -> None:
    webhook = {"url": "https://example.org/hook", "on": ["failed"], "secret": "a-long-secret", "allow_private": False}
    bench.with_deployment(webhooks=[webhook])

    (shown,) = bench.call("GET", REPORT).json["webhooks"]
    again = bench.call("PUT", REPORT, {"pool": "local", "command": ["true"], "webhooks": [shown]})

    assert shown["secret"].startswith("sha256:")
    assert len(shown["secret"]) == len("sha256:") + 12
    assert again.json["change"] == "unchanged"
    assert "a-long-secret" in bench.contents()


def test_the_fingerprint_of_another_address_is_just_a_secret(bench: ApiBench) -> None:
    webhook = {"url": "https://example.org/hook", "on": ["failed"], "secret": "a-long-secret"}
    bench.with_deployment(webhooks=[webhook])
    (shown,) = bench.call("GET", REPORT).json["webhooks"]

    moved = {**shown, "url": "https://example.com/elsewhere"}
    bench.with_deployment(webhooks=[moved])

    assert "a-long-secret" not in bench.contents()
