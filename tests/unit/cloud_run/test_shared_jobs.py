"""What of a job is shared by runs, and what of it is one run's alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.infrastructure import cloud_run
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Made = Callable[..., Json]


def told(container: Json) -> Json:
    return {pair["name"]: pair["value"] for pair in container["env"]}


def test_what_is_one_runs_alone_is_no_part_of_it(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    one, other = (
        adapter.request(
            make_job(
                submission="shared job",
                command=f"etl {n}",
                env={"N": n},
                attempt=n,
                submit_seq=n,
                timeout_seconds=60 * n,
            )
        )
        for n in (1, 2)
    )

    assert one.target == other.target
    assert one.target.group.startswith("pushpool-shared-")
    assert one.body["create_job"] == other.body["create_job"]
    assert "PUSHPOOL" not in str(one.body["create_job"])
    own = other.body["run_job"]["overrides"]
    assert own["timeout"] == "1320s"
    container = own["containerOverrides"][0]
    assert container["args"] == ["--", "etl", "2"]
    assert told(container) == {
        "N": "2",
        "PUSHPOOL_ATTEMPT": "2",
        "PUSHPOOL_GRACE_SECONDS": "7",
        "PUSHPOOL_RUN_ID": RUN,
        "PUSHPOOL_SUBMISSION": "2",
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"container": {"image": "etl:2"}},
        {"task": {"serviceAccount": "a@b"}},
        {"labels": {"team": "data"}},
        {"env_from_secrets": {"A": {"secret": "a"}}},
        {"runner": False},
        {"pool": "other"},
    ],
)
def test_what_runs_cannot_override_makes_another(adapter: cloud_run.CloudRun, make_job: MakeJob, changed: Json) -> None:
    first = adapter.request(make_job(submission="shared job"))
    other = adapter.request(make_job(submission="shared job", **changed))

    assert first.target.group != other.target.group


def test_the_number_of_tasks_is_the_runs_own(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    template = {"taskCount": 3, "template": {"containers": [{"image": "etl"}]}}

    made = adapter.request(make_job(submission="shared job", runner=False, job_body={"template": template})).body

    assert made["run_job"]["overrides"]["taskCount"] == 3
    assert "taskCount" not in made["create_job"]["job"]["template"]


def test_the_templates_arguments_are_the_runs_own_too(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    made = adapter.request(make_job(submission="shared job", container={"args": ["--all"]})).body

    assert made["run_job"]["overrides"]["containerOverrides"][0]["args"][-1] == "--all"
    assert "args" not in made["create_job"]["job"]["template"]["template"]["containers"][0]


def test_a_container_among_several_needs_a_name(body: Made) -> None:
    with pytest.raises(InvalidInput, match="needs a name"):
        body(submission="shared job", task={"containers": [{"image": "etl"}, {"image": "proxy"}]})


@pytest.mark.parametrize("way", ["shared job", "job per run"])
def test_no_label_claims_to_be_of_another_run(body: Made, way: str) -> None:
    """Or an event would end that one."""
    claims = {"pushpool-run": "another", "Pushpool-Attempt": "7", "team": "data"}

    labels = body(submission=way, labels=claims)["create_job"]["job"]["labels"]

    assert labels["team"] == "data"
    assert not {"another", "7"} & set(labels.values())
