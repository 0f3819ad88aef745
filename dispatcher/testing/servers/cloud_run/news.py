"""The system events of the audit log about jobs, as a sink hands them on: a LogEntry each, as JSON.

Their resources are of the API's first version, Knative's, whose numbers come as doubles; the namespace is the
project's number (manual, "Cloud Run audit logging"; what `protoPayload.response` holds has been seen in the wild).
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias
from uuid import uuid4

from dispatcher.testing.servers.cloud_run import conditions
from dispatcher.testing.servers.cloud_run.resources import now
from dispatcher.testing.servers.cloud_run.theirs import Json

Hear: TypeAlias = Callable[[Json], None]

_STATUS = {conditions.SUCCEEDED: "True", conditions.FAILED: "False"}
_SEVERITY = {"ERROR": "Error", "WARNING": "Warning", "INFO": "Info"}


class Mode(StrEnum):
    NORMAL = "normal"
    DROPPED = "dropped"
    DOUBLED = "doubled"
    HELD = "held"  # until they are released


class News:
    """What was told, and whoever listens: called from the threads of executions, so that it must not wait."""

    def __init__(self) -> None:
        self.mode = Mode.NORMAL
        self._told: list[Json] = []
        self._held: list[Json] = []
        self._listeners: list[Hear] = []
        self._lock = threading.RLock()

    def listen(self, hear: Hear) -> None:
        with self._lock:
            self._listeners.append(hear)

    def told(self) -> list[Json]:
        with self._lock:
            return copy.deepcopy(self._told)

    def tell(self, entry: Json) -> None:
        """Hands it on, or does with it what `mode` says."""
        with self._lock:
            match self.mode:
                case Mode.NORMAL:
                    self._send(entry)
                case Mode.DOUBLED:
                    self._send(entry)
                    self._send(entry)
                case Mode.HELD:
                    self._held.append(entry)
                case Mode.DROPPED:
                    pass

    def release(self, *, backwards: bool = False) -> int:
        """Sends what was held, the newest first if `backwards`; how many that were."""
        with self._lock:
            held, self._held = self._held, []
            for entry in reversed(held) if backwards else held:
                self._send(entry)
            return len(held)

    def _send(self, entry: Json) -> None:
        self._told.append(entry)
        for hear in self._listeners:
            hear(copy.deepcopy(entry))


def of_execution(execution: Json, number: str) -> Json:
    """Of its start, or of its end if it has ended."""
    project, region, job, name = _parts(execution["name"])
    ended = conditions.completed(execution).get("state") if conditions.has_ended(execution) else None
    count, good = execution["taskCount"], execution.get("succeededCount", 0)
    message = {
        conditions.SUCCEEDED: f"Execution {name} has completed successfully.",
        conditions.FAILED: f"Execution {name} has failed to complete, {good}/{count} tasks were a success.",
    }.get(str(ended), f"Started condition status changed to True for Execution {name}.")
    status = {"code": 10, "message": message} if ended == conditions.FAILED else {"message": message}
    payload = {
        "methodName": "/Jobs.RunJob",
        "resourceName": f"namespaces/{project}/executions/{name}",
        "status": status,
        "response": _first_version(execution, number),
    }
    return _entry(payload, (project, region, job), {"run.googleapis.com/execution_name": name})


def of_failed_job(job: Json, number: str) -> Json:
    """Of one that never gets ready: what it is made of is not there, or may not be had."""
    _, project, _, region, _, name = job["name"].split("/")
    payload = {
        "methodName": "/Jobs.CreateJob",
        "resourceName": f"namespaces/{project}/jobs/{name}",
        "status": {"code": 5, "message": job["terminalCondition"].get("message", "")},
        "response": {
            "@type": "type.googleapis.com/google.cloud.run.v1.Job",
            "apiVersion": "run.googleapis.com/v1",
            "kind": "Job",
            "metadata": _metadata(job, region, number, {}),
            "spec": {"template": {"metadata": {"labels": job["template"].get("labels", {})}, "spec": {}}},
            "status": {"observedGeneration": 1.0, "conditions": [_condition(job["terminalCondition"])]},
        },
    }
    return _entry(payload, (project, region, name), {})


def _entry(payload: Json, place: tuple[str, str, str], labels: Json) -> Json:
    project, region, job = place
    at = now()
    return {
        "insertId": uuid4().hex[:16],
        "logName": f"projects/{project}/logs/cloudaudit.googleapis.com%2Fsystem_event",
        "resource": {
            "type": "cloud_run_job",
            "labels": {"project_id": project, "location": region, "job_name": job},
        },
        "labels": labels,
        "severity": "ERROR" if payload["status"].get("code") else "INFO",
        "timestamp": at,
        "receiveTimestamp": at,
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "run.googleapis.com",
            **payload,
        },
    }


def _first_version(execution: Json, number: str) -> Json:
    _, region, job, _ = _parts(execution["name"])
    task = execution["template"]
    counts = ("runningCount", "succeededCount", "failedCount", "cancelledCount", "retriedCount")
    return {
        "@type": "type.googleapis.com/google.cloud.run.v1.Execution",
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Execution",
        "metadata": _metadata(execution, region, number, {"run.googleapis.com/job": job}),
        "spec": {
            "parallelism": float(execution["parallelism"]),
            "taskCount": float(execution["taskCount"]),
            "template": {
                "spec": {
                    "containers": copy.deepcopy(task["containers"]),
                    "maxRetries": float(task["maxRetries"]),
                    "timeoutSeconds": task["timeout"].removesuffix("s"),
                }
            },
        },
        "status": {
            "observedGeneration": 1.0,
            "conditions": [_condition(each) for each in execution["conditions"]],
            **{key: execution[key] for key in ("startTime", "completionTime", "logUri") if key in execution},
            **{key: float(execution[key]) for key in counts if execution.get(key)},
        },
    }


def _metadata(resource: Json, region: str, number: str, labels: Json) -> Json:
    name = resource["name"].rpartition("/")[2]
    return {
        "name": name,
        "namespace": number,
        "uid": resource["uid"],
        "generation": 1.0,
        "creationTimestamp": resource["createTime"],
        "labels": {"cloud.googleapis.com/location": region, **labels, **resource.get("labels", {})},
        "annotations": {"run.googleapis.com/creator": resource["creator"]},
    }


def _condition(condition: Json) -> Json:
    reason = condition.get("executionReason") or condition.get("reason")
    said = {
        "type": condition["type"],
        "status": _STATUS.get(condition["state"], "Unknown"),
        "reason": _camel(reason) if reason else None,
        "message": condition.get("message"),
        "severity": _SEVERITY.get(condition.get("severity", "")),
        "lastTransitionTime": condition["lastTransitionTime"],
    }
    return {key: value for key, value in said.items() if value}


def _camel(reason: str) -> str:
    """NonZeroExitCode for NON_ZERO_EXIT_CODE."""
    return re.sub(r"[A-Z]+_?", lambda found: found[0].rstrip("_").capitalize(), reason)


def _parts(execution: str) -> tuple[str, str, str, str]:
    _, project, _, region, _, job, _, name = execution.split("/")
    return project, region, job, name
