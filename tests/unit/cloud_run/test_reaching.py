"""What becomes of calls that reach nobody, and of credentials that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials

from adapters import google
from adapters.failures import Trouble
from adapters.infrastructure import cloud_run
from dispatcher.errors import Unreachable
from dispatcher.ports import Job, NotNow, PoolUnavailable, Submission
from dispatcher.runs import Target

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
TARGET = Target("cloud-run-v2:push", account="team-data", region="europe-west1")
JOB = "projects/team-data/locations/europe-west1/jobs/pushpool-1"
HANDLE = f"{JOB}/executions/pushpool-1-run"

MakeJob = Callable[..., Job]


@pytest.fixture
def nobody_there(adapter: cloud_run.CloudRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[cloud_run.CloudRun]:
    monkeypatch.setenv("PUSHPOOL_GOOGLE_EMULATOR", "127.0.0.1:9")
    yield adapter
    adapter.close()


def submission(adapter: cloud_run.CloudRun, job: Job) -> Submission:
    return Submission(job.run_id, job.attempt, job.submit_seq, adapter.request(job), "token")


@pytest.mark.parametrize("way", ["job per run", "shared job"])
def test_a_submission_that_never_left_is_a_definite_no(
    nobody_there: cloud_run.CloudRun, make_job: MakeJob, way: str
) -> None:
    outcome = nobody_there.submit(submission(nobody_there, make_job(submission=way)))

    assert isinstance(outcome, NotNow)
    assert "did not reach Google" in outcome.message


@pytest.mark.parametrize("way", ["job per run", "shared job"])
def test_without_credentials_the_pool_is_unavailable(adapter: cloud_run.CloudRun, make_job: MakeJob, way: str) -> None:
    outcome = adapter.submit(submission(adapter, make_job(submission=way)))

    assert isinstance(outcome, PoolUnavailable)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in outcome.reason


def test_whoever_asks_is_told_that_nobody_answers(nobody_there: cloud_run.CloudRun) -> None:
    for ask in (
        lambda: nobody_there.find(TARGET, RUN, 1, 1),
        lambda: nobody_there.describe_many(TARGET, [HANDLE]),
        lambda: nobody_there.cancel(TARGET, HANDLE),
        lambda: nobody_there.cleanup(TARGET, HANDLE),
    ):
        with pytest.raises(Unreachable):
            ask()


def test_whoever_asks_without_credentials_is_told_so(adapter: cloud_run.CloudRun) -> None:
    with pytest.raises(Unreachable, match="GOOGLE_APPLICATION_CREDENTIALS"):
        adapter.find(TARGET, RUN, 1, 1)


@pytest.mark.parametrize("handle", ["", "arn:aws:ecs:r:1:task/t", f"{JOB}/executions/", JOB])
def test_of_what_is_no_execution_nobody_is_asked(nobody_there: cloud_run.CloudRun, handle: str) -> None:
    nobody_there.cancel(TARGET, handle)
    nobody_there.cleanup(TARGET, handle)

    assert nobody_there.describe_many(TARGET, [handle])[handle].phase == "missing"
    assert nobody_there.links(TARGET, handle) == {}


def test_a_diagnosis_without_credentials_says_so(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    found = {name: (passed, words) for name, passed, words in adapter.diagnose(make_job().configuration)}

    assert found.keys() == {"configuration", "credentials"}
    assert not found["credentials"][0]


def test_a_diagnosis_of_what_makes_no_request_says_what(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    [(name, passed, words)] = adapter.diagnose(make_job(region="eu").configuration)

    assert (name, passed) == ("configuration", False)
    assert "europe-west1" in words


def test_links_lead_to_console_and_logs(adapter: cloud_run.CloudRun) -> None:
    links = adapter.links(TARGET, HANDLE)

    assert links["console"].startswith(
        "https://console.cloud.google.com/run/jobs/executions/details/europe-west1/pushpool-1-run"
    )
    assert "resource.labels.job_name%3D%22pushpool-1%22" in links["logs"]


@pytest.mark.parametrize(("writes", "most"), [(60, 60), (600, 600)])
def test_submissions_and_cleaning_up_stay_within_the_regions_quota(writes: int, most: int) -> None:
    rates = cloud_run.open_v2({"cloud_run_writes_per_minute": str(writes)}).traits.rates

    worst_minute = sum(rate.burst + 60 * rate.per_second for each in rates.values() for rate in each)
    assert 0.95 * most <= worst_minute <= most


def test_a_region_that_has_no_endpoint_was_never_asked() -> None:
    error = exceptions.ServiceUnavailable("DNS resolution failed for mars-north1-run.googleapis.com:443: not found")

    assert google.failure(error).trouble is Trouble.NOT_SENT


@pytest.mark.parametrize(
    ("email", "told"), [("me@p.iam.gserviceaccount.com", "me@p.iam.gserviceaccount.com"), ("default", "")]
)
def test_credentials_tell_whom_they_speak_for(monkeypatch: pytest.MonkeyPatch, email: str, told: str) -> None:
    known = AnonymousCredentials()
    monkeypatch.setattr(known, "service_account_email", email, raising=False)
    monkeypatch.setattr(google, "credentials", lambda: known)

    assert google.principal() == told


def test_without_credentials_nobody_is_named() -> None:
    assert google.principal() == ""
