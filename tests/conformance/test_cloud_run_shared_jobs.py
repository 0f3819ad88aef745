"""Many submissions that need one shared job at once, and one that is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from adapters.infrastructure.cloud_run import CloudRun
from adapters.infrastructure.cloud_run.clients import Clients
from adapters.infrastructure.cloud_run.shared_jobs import SharedJobs
from dispatcher import job_templates, registry
from dispatcher.ports import Accepted, Job, NotNow, Outcome, Rejected, Submission
from dispatcher.testing.servers.cloud_run import CloudRunApi
from dispatcher.testing.servers.cloud_run import cloud_run as served

KIND = "cloud-run-v2:push"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudRunApi]:
    with served(tmp_path_factory.mktemp("cloud_run")) as made:
        made.behave(grace_seconds=0.1)
        yield made


@pytest.fixture
def clients(api: CloudRunApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    for name, value in api.environment.items():
        monkeypatch.setenv(name, value)
    made = Clients()
    yield made
    made.close()
    api.forget_faults()


@pytest.fixture
def sent(api: CloudRunApi, clients: Clients) -> Submission:
    """Of a job that no other test has."""
    run_id = str(uuid4())
    variables: dict[str, Any] = {"image": api.image, "region": api.region, "command": ["sleep", "60"], "runner": False}
    configuration = job_templates.render(
        registry.template(KIND), {**variables, "submission": "shared job", "labels": {"test": run_id}}
    )
    told = {"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": "1"}
    job = Job(
        pool="nightly", run_id=run_id, run_name="brisk-otter", deployment="etl", attempt=1, submit_seq=1,
        configuration=configuration, environment=told,
    )  # fmt: skip
    return Submission(run_id, 1, 1, CloudRun(api.region, clients).request(job), "token")


def ensured(jobs: SharedJobs, sent: Submission, seconds: float = 10) -> Outcome | None:
    return jobs.ensure(sent.request.target.region, sent.request.body["create_job"], time.monotonic() + seconds)


def test_whoever_waits_for_one_that_is_slow_is_told_with_the_first(
    api: CloudRunApi, clients: Clients, sent: Submission
) -> None:
    """One after the other they would wait past their deadline, and their runs would count as perhaps started."""
    api.behave(gets_ready=False)
    jobs, before = SharedJobs(clients, ready_seconds=0.3), api.calls().get("CreateJob", 0)

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(lambda _: ensured(jobs, sent), range(4)))
    later = ensured(jobs, sent)

    assert [type(outcome) for outcome in (*told, later)] == [NotNow] * 5
    assert api.calls()["CreateJob"] - before == 1


def test_nobody_waits_longer_than_a_submission_may(api: CloudRunApi, clients: Clients, sent: Submission) -> None:
    jobs, before = SharedJobs(clients), api.calls().get("CreateJob", 0)

    with api.replies_held("CreateJob") as reached, ThreadPoolExecutor(1) as threads:
        first = threads.submit(ensured, jobs, sent)
        assert reached.wait(10)
        second = ensured(jobs, sent, seconds=0)
        api.project.holds["CreateJob"].released.set()
        assert first.result(10) is None

    assert isinstance(second, NotNow)
    assert api.calls()["CreateJob"] - before == 1


def test_one_that_another_removes_while_it_is_made_is_no_fault_of_the_pools(
    api: CloudRunApi, clients: Clients, sent: Submission
) -> None:
    with api.replies_held("CreateJob") as reached, ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(CloudRun(api.region, clients).submit, sent)
        assert reached.wait(10)
        api.client("JobsClient").delete_job(name=sent.request.body["run_job"]["name"])
        api.project.holds["CreateJob"].released.set()

        assert isinstance(outcome.result(10), NotNow)


def test_one_that_has_had_executions_is_not_removed(api: CloudRunApi, clients: Clients, sent: Submission) -> None:
    """They would go with it."""
    accepted = CloudRun(api.region, clients).submit(sent)
    name = sent.request.body["run_job"]["name"]
    failed = {"type": "Ready", "state": "CONDITION_FAILED", "message": "Image 'x' not found."}
    api.project.jobs[name]["terminalCondition"] = failed

    refused = CloudRun(api.region, clients).submit(sent)

    assert isinstance(accepted, Accepted)
    assert isinstance(refused, Rejected)
    assert name in api.jobs()
