"""An execution, as the API has it or the audit log tells of it, in the words of the core. Pure.

That it has ended is the word of its condition `Completed`; why, of that condition's reason and message, and of the
counts: one that was cancelled can be done without an error. Of exit codes only the message tells, and its tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from adapters.failures import told
from adapters.infrastructure.cloud_run import reasons
from adapters.infrastructure.cloud_run.reasons import Diagnosis
from dispatcher.ports import Cause, Observation, Phase

FAILED, SUCCEEDED = "CONDITION_FAILED", "CONDITION_SUCCEEDED"

Json = Mapping[str, Any]

_EXITED = re.compile(r"exit code: (?P<code>\d+) and message: The container exited with an error", re.IGNORECASE)


def observation(execution: Json, handle: str, *, exit_code: int | None = None) -> Observation:
    """Cloud Run's word on one execution. `exit_code`: its task's, if the conditions do not tell it."""
    completed, started = _condition(execution, "Completed"), _time(execution.get("startTime"))
    if completed.get("state") not in (FAILED, SUCCEEDED):
        phase = Phase.RUNNING if started is not None else Phase.PENDING
        return Observation(phase=phase, handle=handle, started=started)
    if is_success(execution):
        exit_code, diagnosis = 0, Diagnosis(Cause.EXITED)
    else:
        exit_code = exit_code if exit_code is not None else told_exit_code(execution)
        diagnosis = diagnosed(execution, exit_code)
        exit_code = exit_code if diagnosis.cause in (Cause.EXITED, Cause.KILLED) else None
    return Observation(
        phase=Phase.STOPPED,
        handle=handle,
        exit_code=exit_code,
        cause=diagnosis.cause,
        message=_message(_said(execution), diagnosis),
        started=started,
        ended=_time(execution.get("completionTime")) or _time(completed.get("lastTransitionTime")),
    )


def of_job(job: Json, handle: str) -> Observation:
    """Of a job that has no execution yet: it may never get one."""
    condition: Json = job.get("terminalCondition") or {}
    if condition.get("state") == FAILED:
        diagnosis = _unready(condition)
        ended = _time(condition.get("lastTransitionTime"))
        message = _message(str(condition.get("message") or ""), diagnosis)
        return Observation(phase=Phase.STOPPED, handle=handle, cause=diagnosis.cause, message=message, ended=ended)
    has_had_one = bool(job.get("latestCreatedExecution"))
    return Observation(phase=Phase.MISSING if has_had_one else Phase.PENDING, handle=handle)


def is_success(execution: Json) -> bool:
    """Of one that has ended: every task did what it should, and none was cancelled."""
    bad = sum(int(execution.get(count) or 0) for count in ("failedCount", "cancelledCount"))
    return _condition(execution, "Completed").get("state") == SUCCEEDED and not bad


def is_asked_for(execution: Json) -> bool:
    """Whether its tasks are to be asked for the exit code: it ended by one, and the conditions do not tell which."""
    if _condition(execution, "Completed").get("state") not in (FAILED, SUCCEEDED) or is_success(execution):
        return False
    return told_exit_code(execution) is None and diagnosed(execution, None).cause is Cause.EXITED


def told_exit_code(execution: Json) -> int | None:
    """Of its message; what Cloud Run ends itself has the code 0 there, which is none."""
    found = _EXITED.search(_said(execution))
    return int(found["code"]) if found and int(found["code"]) else None


def exit_code_of(tasks: Sequence[Json]) -> int | None:
    """Of the first task that failed by one (API TaskAttemptResult)."""
    results = [task.get("lastAttemptResult") or {} for task in tasks]
    return next((int(result["exitCode"]) for result in results if result.get("exitCode")), None)


def diagnosed(execution: Json, exit_code: int | None) -> Diagnosis:
    """Why it ended, though not as it should."""
    reason = _reason(_condition(execution, "Completed"))
    if reason in reasons.ASKED_FOR or int(execution.get("cancelledCount") or 0):
        return Diagnosis(Cause.STOPPED, "stopped on request")
    failed = [each for each in _conditions(execution) if each.get("state") == FAILED]
    known = [reasons.by_message(_said(execution)), *(reasons.by_reason(_reason(each)) for each in failed)]
    if (found := next((each for each in known if each is not None), None)) is not None:
        return found
    if exit_code is not None:
        return reasons.by_exit_code(exit_code)
    if reason == reasons.EXIT_CODE or int(execution.get("failedCount") or 0):
        return Diagnosis(Cause.EXITED)
    started = execution.get("startTime") is not None
    return Diagnosis(Cause.INFRASTRUCTURE, "it was cut off" if started else "it was not started")


def _unready(condition: Json) -> Diagnosis:
    found = reasons.by_message(str(condition.get("message") or "")) or reasons.by_reason(_reason(condition))
    return found or Diagnosis(Cause.REFUSED, "its job cannot be started", "see the job's conditions")


def _conditions(execution: Json) -> Sequence[Json]:
    found = execution.get("conditions")
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _condition(execution: Json, kind: str) -> Json:
    return next((each for each in _conditions(execution) if each.get("type") == kind), {})


def _reason(condition: Json) -> str:
    """`nonzeroexitcode` for NON_ZERO_EXIT_CODE, and for NonZeroExitCode, as the API's first version has it."""
    return str(condition.get("executionReason") or condition.get("reason") or "").replace("_", "").lower()


def _said(execution: Json) -> str:
    """Google's words, each once."""
    found: list[str] = []
    for condition in sorted(_conditions(execution), key=lambda each: each.get("type") != "Completed"):
        message = " ".join(str(condition.get("message") or "").split())
        if condition.get("state") == FAILED and message and message not in found:
            found.append(message)
    return "; ".join(found)


def _message(said: str, diagnosis: Diagnosis) -> str:
    """One line: what it was, in Google's words too where they say more, and what to do."""
    words = "" if diagnosis.cause is Cause.EXITED else said
    return told(diagnosis.says, words, diagnosis.advice)


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is None or found.tzinfo is not None:
            return found and found.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one of a year that there is not
        return None
    return found.replace(tzinfo=UTC)
