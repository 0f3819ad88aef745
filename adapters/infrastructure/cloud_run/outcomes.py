"""What an error to CreateJob or RunJob means for the submission. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from adapters.failures import Failure, Trouble
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Unknown

RATE_PAUSE = timedelta(seconds=20)  # a third of the minute for which requests are counted
JOBS_PAUSE, RUNNING_PAUSE = timedelta(minutes=2), timedelta(seconds=30)
EXISTS = "ALREADY_EXISTS"

_WAYS_OUT_OF_JOBS = "those of ended runs are deleted after ten minutes; use the submission `shared job`"
_MORE = "ask Google for a higher quota"
_DENIED = re.compile(
    r"Permission '(?P<permission>[\w.]+)' denied on (resource|service account) '?(?P<on>[^\s']+)", re.IGNORECASE
)
_NOT_READY = re.compile(r"not (yet )?ready", re.IGNORECASE)
_PER_MINUTE = re.compile(r"per minute|PerMinute|rate limit|too many requests", re.IGNORECASE)
_NO_PLACE = re.compile(
    r"location .*(not found|unauthorized|not supported|invalid)|(unknown|invalid|unsupported) (location|region)"
    r"|DNS resolution failed|name resolution",
    re.IGNORECASE,
)
_DISABLED = re.compile(r"has not been used in project|it is disabled|SERVICE_DISABLED", re.IGNORECASE)
_BILLING = re.compile(r"billing", re.IGNORECASE)
# Of RESOURCE_EXHAUSTED that is no rate, and of FAILED_PRECONDITION: which quota, how long to wait, what to do.
_QUOTAS = tuple(
    (re.compile(pattern, re.IGNORECASE), pause, advice)
    for pattern, pause, advice in (
        (
            r"running.*executions?|executions?.*(limit|quota|allowable)",
            RUNNING_PAUSE,
            f"as many run in this region as may: wait, give the pool a lower concurrency limit, or {_MORE}",
        ),
        (
            r"\bjobs?\b.*(limit|quota|maximum|allowable)|(limit|quota|maximum|allowable).*\bjobs?\b",
            JOBS_PAUSE,
            f"there are as many jobs in this region as may be: {_WAYS_OUT_OF_JOBS}, or {_MORE}",
        ),
        (
            r"CpuAlloc|MemAlloc|GpuAlloc|\b(cpu|memory|gpu)\b.*quota|quota.*\b(cpu|memory|gpu)\b",
            RUNNING_PAUSE,
            f"give the pool a lower concurrency limit or smaller tasks, or {_MORE}",
        ),
    )
)


def of_submission(failure: Failure, call: str, *, now: datetime, principal: str = "") -> Outcome:
    """The submission's own request failed: without an answer nobody knows whether it was done."""
    if failure.trouble is Trouble.NO_ANSWER and not _NO_PLACE.search(failure.message):
        return Unknown(f"{call}: {failure}")
    return of_failure(failure, call, now=now, principal=principal)


def of_failure(failure: Failure, call: str, *, now: datetime, principal: str = "") -> Outcome:
    """A definite no: either Google said so, or the call starts nothing."""
    said = f"{call}: {failure}"
    if _NO_PLACE.search(failure.message):
        return PoolUnavailable(f"{said}; set `region` to one of Cloud Run's, as in europe-west1 or us-central1")
    match failure.trouble:
        case Trouble.THROTTLED:
            return _of_quota(failure, said, now)
        case Trouble.NO_ANSWER | Trouble.NOT_SENT:
            # Without a connection not one byte has left: that is as definite as a refusal.
            return NotNow(f"{call} did not reach Google: {failure}")
        case Trouble.CREDENTIALS:
            return PoolUnavailable(f"Google does not take the dispatcher's credentials: {failure}; renew them")
        case Trouble.DENIED:
            return PoolUnavailable(denied(failure, call, principal))
        case Trouble.REFUSED:
            return _of_no(failure, said, now)


def _of_quota(failure: Failure, said: str, now: datetime) -> Outcome:
    metadata = failure.answer.get("metadata") or {}
    if failure.answer.get("reason") == "RATE_LIMIT_EXCEEDED" or _PER_MINUTE.search(failure.message):
        limit = metadata.get("quota_limit", "")
        return NotNow(f"throttled: {said}{f' ({limit})' if limit else ''}", RATE_PAUSE)
    return _of_counted(failure, said, now) or NotNow(f"throttled: {said}", RATE_PAUSE)


def _of_counted(failure: Failure, said: str, now: datetime) -> Outcome | None:
    for pattern, pause, advice in _QUOTAS:
        if pattern.search(failure.message):
            return PoolUnavailable(f"{said}; {advice}", now + pause)
    return None


def _of_no(failure: Failure, said: str, now: datetime) -> Outcome:
    if failure.code == "FAILED_PRECONDITION":
        return _of_state(failure, said, now)
    if failure.code in ("ABORTED", "CANCELLED"):
        return NotNow(said)
    if failure.code == "NOT_FOUND":
        return PoolUnavailable(f"{said}; check `project` and `region`, and whether what the job names is there")
    if failure.code == "UNIMPLEMENTED":
        return PoolUnavailable(f"{said}; check `region`")
    return Rejected(said)


def _of_state(failure: Failure, said: str, now: datetime) -> Outcome:
    if _BILLING.search(failure.message):
        return PoolUnavailable(f"{said}; turn on billing for the project")
    if _NOT_READY.search(failure.message):
        return NotNow(said, RATE_PAUSE)
    counted = _of_counted(failure, said, now)
    return counted or Rejected(f"{said}; if it uses a feature in preview, set `launch_stage` to BETA")


def denied(failure: Failure, call: str, principal: str) -> str:
    """What to allow, and to whom, as far as that is known."""
    whom = principal or "the dispatcher's service account"
    if failure.answer.get("reason") == "SERVICE_DISABLED" or _DISABLED.search(failure.message):
        return f"{failure}; enable the API: gcloud services enable run.googleapis.com"
    found = _DENIED.search(failure.message)
    if found is None:
        return f"{failure}; allow {whom} what {call} needs"
    if found["permission"].lower().endswith("actas"):
        role = "iam.serviceAccounts.actAs (roles/iam.serviceAccountUser)"
        return f"{failure}; allow {whom} {role} on {found['on']}, and see that it exists"
    return f"{failure}; allow {whom} {found['permission']} on {found['on'].rstrip('.')}"
