"""What becomes of each error that Google can answer a submission with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.failures import Failure, Trouble
from adapters.infrastructure.cloud_run import outcomes
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Unknown

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ME = "dispatch@team-data.iam.gserviceaccount.com"
RATE = {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "WritePerMinutePerProjectRegion"}}


def failure(trouble: Trouble, code: str, message: str = "", **answer: Any) -> Failure:
    return Failure(trouble, code, message, answer)


def of(failed: Failure) -> Outcome:
    return outcomes.of_submission(failed, "CreateJob", now=NOW, principal=ME)


def said(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, PoolUnavailable) else str(getattr(outcome, "message", ""))


EXHAUSTED, STATE = "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"
# What Google says, then what that means, and a word of what to do.
ERRORS: list[tuple[str, Failure, type[Outcome], str]] = [
    ("rate, by its reason", failure(Trouble.THROTTLED, EXHAUSTED, "Quota exceeded.", **RATE), NotNow, "WritePerMinute"),
    (
        "rate, by its words",
        failure(
            Trouble.THROTTLED,
            EXHAUSTED,
            "Quota exceeded for quota metric 'Write requests' and limit 'Write requests "
            "per minute per region' of service 'run.googleapis.com'",
        ),
        NotNow,
        "throttled",
    ),
    ("429 without a word", failure(Trouble.THROTTLED, EXHAUSTED), NotNow, "throttled"),
    (
        "jobs",
        failure(Trouble.THROTTLED, EXHAUSTED, "Quota exceeded for total allowable count of Jobs per region."),
        PoolUnavailable,
        "`shared job`",
    ),
    (
        "jobs, in a state",
        failure(Trouble.REFUSED, STATE, "The limit of 1000 jobs is reached."),
        PoolUnavailable,
        "deleted",
    ),
    (
        "running executions",
        failure(Trouble.THROTTLED, EXHAUSTED, "Quota exceeded for allowable count of running Executions"),
        PoolUnavailable,
        "lower concurrency limit",
    ),
    (
        "cpus",
        failure(Trouble.REFUSED, STATE, "Quota violated: CpuAllocPerProjectRegion requested: 9000 allowed: 8000"),
        PoolUnavailable,
        "smaller tasks",
    ),
    (
        "create denied",
        failure(
            Trouble.DENIED,
            "PERMISSION_DENIED",
            "Permission 'run.jobs.create' denied on resource 'projects/p/locations/r' (or resource may not exist).",
        ),
        PoolUnavailable,
        f"allow {ME} run.jobs.create on projects/p/locations/r",
    ),
    (
        "overrides denied",
        failure(Trouble.DENIED, "PERMISSION_DENIED", "Permission 'run.jobs.runWithOverrides' denied on resource 'j'"),
        PoolUnavailable,
        "run.jobs.runWithOverrides",
    ),
    (
        "actAs denied",
        failure(
            Trouble.DENIED,
            "PERMISSION_DENIED",
            "Permission 'iam.serviceaccounts.actAs' denied on service account "
            "run@p.iam.gserviceaccount.com (or it may not exist).",
        ),
        PoolUnavailable,
        "roles/iam.serviceAccountUser) on run@p.iam.gserviceaccount.com",
    ),
    ("denied without words", failure(Trouble.DENIED, "PERMISSION_DENIED"), PoolUnavailable, f"allow {ME}"),
    (
        "API off, by its reason",
        failure(Trouble.DENIED, "PERMISSION_DENIED", "Not now.", reason="SERVICE_DISABLED"),
        PoolUnavailable,
        "gcloud services enable run.googleapis.com",
    ),
    (
        "API off, by its words",
        failure(
            Trouble.DENIED,
            "PERMISSION_DENIED",
            "Cloud Run Admin API has not been used in project 1 before or it is disabled.",
        ),
        PoolUnavailable,
        "gcloud services enable run.googleapis.com",
    ),
    (
        "wrong region",
        failure(Trouble.DENIED, "PERMISSION_DENIED", "Location mars-north1 is not found or access is unauthorized."),
        PoolUnavailable,
        "europe-west1",
    ),
    (
        "region without an endpoint",
        failure(Trouble.NOT_SENT, "UNAVAILABLE", "DNS resolution failed for mars-north1-run.googleapis.com:443"),
        PoolUnavailable,
        "europe-west1",
    ),
    (
        "nothing there",
        failure(Trouble.REFUSED, "NOT_FOUND", "Requested entity was not found."),
        PoolUnavailable,
        "`project`",
    ),
    ("no billing", failure(Trouble.REFUSED, STATE, "Billing must be enabled"), PoolUnavailable, "billing"),
    ("credentials", failure(Trouble.CREDENTIALS, "UNAUTHENTICATED", "invalid"), PoolUnavailable, "renew"),
    (
        "too little cpu",
        failure(Trouble.REFUSED, "INVALID_ARGUMENT", "template.containers[0].resources.limits.memory: Invalid value"),
        Rejected,
        "limits.memory",
    ),
    ("no such image", failure(Trouble.REFUSED, "INVALID_ARGUMENT", "Expected an image path"), Rejected, "image path"),
    ("another state", failure(Trouble.REFUSED, STATE, "Encryption is required."), Rejected, "Encryption"),
    ("not ready", failure(Trouble.REFUSED, STATE, "Job j is not ready and cannot be run."), NotNow, "not ready"),
    ("conflict", failure(Trouble.REFUSED, "ABORTED", "Conflict for resource"), NotNow, "Conflict"),
    (
        "never sent",
        failure(Trouble.NOT_SENT, "UNAVAILABLE", "failed to connect to all addresses"),
        NotNow,
        "did not reach",
    ),
    ("unavailable", failure(Trouble.NO_ANSWER, "UNAVAILABLE", "The service is unavailable."), Unknown, "CreateJob"),
    ("too slow", failure(Trouble.NO_ANSWER, "DEADLINE_EXCEEDED", "Deadline Exceeded"), Unknown, "Deadline"),
    ("internal", failure(Trouble.NO_ANSWER, "INTERNAL", "Internal error encountered."), Unknown, "Internal"),
]


@pytest.mark.parametrize(("failed", "kind", "words"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_an_error_is_one_of_five_outcomes_and_says_what_to_do(failed: Failure, kind: type[Outcome], words: str) -> None:
    outcome = of(failed)

    assert isinstance(outcome, kind)
    assert words in said(outcome)


def test_what_starts_nothing_leaves_no_doubt() -> None:
    """CreateJob of a job that is only to be shared."""
    lost = failure(Trouble.NO_ANSWER, "UNAVAILABLE", "The service is unavailable.")

    assert isinstance(outcomes.of_failure(lost, "CreateJob", now=NOW), NotNow)


@pytest.mark.parametrize(
    ("words", "pause"),
    [("total allowable count of Jobs", outcomes.JOBS_PAUSE), ("running Executions limit", outcomes.RUNNING_PAUSE)],
)
def test_what_frees_itself_is_waited_for(words: str, pause: Any) -> None:
    outcome = of(failure(Trouble.THROTTLED, EXHAUSTED, f"Quota exceeded for {words}"))

    assert isinstance(outcome, PoolUnavailable)
    assert outcome.until == NOW + pause


def test_nobody_is_named_who_is_not_known() -> None:
    denied = failure(Trouble.DENIED, "PERMISSION_DENIED", "Permission 'run.jobs.run' denied on resource 'j'.")

    assert "allow the dispatcher's service account run.jobs.run on j" in outcomes.denied(denied, "RunJob", "")
