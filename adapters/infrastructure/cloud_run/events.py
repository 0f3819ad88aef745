"""Entries of the audit log about executions of ours: the system events `/Jobs.RunJob` and `/Jobs.CreateJob`. Pure.

They cost nothing and cannot be turned off (documentation, "Cloud Run audit logging"). What they hold is a resource of
the API's first version, of whose environment only our own names are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from adapters.infrastructure.cloud_run import executions, places
from adapters.infrastructure.cloud_run.labels import SUBMISSION, Origin, is_ours, origin, origin_of
from dispatcher.ports import Event

_STATES = {"True": executions.SUCCEEDED, "False": executions.FAILED}
_COUNTS = ("succeededCount", "failedCount", "cancelledCount", "taskCount")
_TOLD = ("PUSHPOOL_RUN_ID", "PUSHPOOL_ATTEMPT", SUBMISSION)

Json = Mapping[str, Any]


def event_of(entry: Json) -> Event | None:
    """None: it is not about the end of an attempt of ours."""
    payload = _part(entry, "protoPayload")
    if payload.get("serviceName") != "run.googleapis.com":
        return None
    resource = _part(payload, "response")
    match (payload.get("methodName"), resource.get("kind")):
        case ("/Jobs.RunJob", "Execution"):
            return _of_execution(entry, payload, resource)
        case ("/Jobs.CreateJob", "Job"):
            return _of_job(entry, payload, resource)
        case _:
            return None


def _of_execution(entry: Json, payload: Json, resource: Json) -> Event | None:
    """Its start is told of by the same method: only its condition `Completed` says that it has ended."""
    metadata, status = _part(resource, "metadata"), _part(resource, "status")
    whose = _origin(resource)
    conditions = [_condition(each) for each in _parts(status, "conditions")]
    ended = any(each["type"] == "Completed" and each["state"] in _STATES.values() for each in conditions)
    labels, place = _part(metadata, "labels"), _part(entry, "resource", "labels")
    job = str(labels.get("run.googleapis.com/job") or place.get("job_name") or "")
    handle = _handle(entry, payload, metadata, job, str(metadata.get("name") or ""))
    if whose is None or not ended or not handle:
        return None
    counts = {name: _count(status.get(name)) for name in _COUNTS}
    told = {
        "conditions": conditions,
        "startTime": status.get("startTime"),
        "completionTime": status.get("completionTime"),
        **counts,
    }
    return Event(whose.run_id, whose.attempt, executions.observation(told, handle), whose.submit_seq)


def _of_job(entry: Json, payload: Json, resource: Json) -> Event | None:
    """One that never gets ready will never have an execution."""
    metadata, labels = _part(resource, "metadata"), _part(resource, "metadata", "labels")
    whose = origin(labels) if is_ours(labels) else None
    told = [_condition(each) for each in _parts(_part(resource, "status"), "conditions")]
    ready: Json = next((each for each in told if each["type"] == "Ready"), {})
    name = str(metadata.get("name") or "")
    handle = _handle(entry, payload, metadata, name, f"{name}-{places.START_TOKEN}")
    if whose is None or not name or not handle or ready.get("state") != executions.FAILED:
        return None
    seen = executions.of_job({"terminalCondition": ready}, handle)
    return Event(whose.run_id, whose.attempt, seen, whose.submit_seq)


def _origin(resource: Json) -> Origin | None:
    """By its labels; an execution of a shared job is known by what it was told."""
    labels = _part(resource, "metadata", "labels")
    if not is_ours(labels):
        return None
    if (found := origin(labels)) is not None:
        return found
    for container in _parts(_part(resource, "spec", "template", "spec"), "containers"):
        told = {
            pair.get("name"): str(pair.get("value") or "")
            for pair in _parts(container, "env")
            if pair.get("name") in _TOLD
        }
        if (found := origin_of(*(told.get(name) for name in _TOLD))) is not None:
            return found
    return None


def _handle(entry: Json, payload: Json, metadata: Json, job: str, name: str) -> str:
    """Empty if it cannot be told. The resource's namespace is the project's number; the entry knows its id."""
    place = _part(entry, "resource", "labels")
    named = str(payload.get("resourceName") or "").split("/")
    project = str(place.get("project_id") or (named[1] if len(named) > 1 else ""))
    region = str(_part(metadata, "labels").get("cloud.googleapis.com/location") or place.get("location") or "")
    if not (project and region and job and name):
        return ""
    return places.Execution(project, region, job, name).handle


def _condition(condition: Json) -> dict[str, Any]:
    """As the second version has it."""
    state = _STATES.get(str(condition.get("status")), "CONDITION_RECONCILING")
    return {**condition, "type": condition.get("type"), "state": state}


def _count(told: object) -> int:
    """It comes as 1.0; what is no number counts nothing."""
    return int(told) if isinstance(told, int) or (isinstance(told, float) and isfinite(told)) else 0


def _parts(whole: Json, key: str) -> list[Json]:
    found = whole.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _part(whole: Json, *keys: str) -> Json:
    for key in keys:
        part = whole.get(key)
        if not isinstance(part, Mapping):
            return {}
        whole = part
    return whole
