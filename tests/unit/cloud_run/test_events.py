"""Entries of the audit log, as a sink hands them on."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from adapters.infrastructure import cloud_run
from dispatcher.ports import Cause, Event, Phase

Json = dict[str, Any]
Change = Callable[[Json], Any]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
JOB = "pushpool-0b6cf0a43a4e5e0a9a587a0e2f6f3a11-2-1"
HANDLE = f"projects/team-data/locations/europe-west1/jobs/{JOB}/executions/{JOB}-run"
OURS = {"managed-by": "pushpool", "pushpool-run": RUN, "pushpool-attempt": "2", "pushpool-submission": "5"}
SECRET = "pp1.the-token-that-nobody-else-may-see"


def condition(kind: str, status: str, **more: str) -> Json:
    return {"type": kind, "status": status, "lastTransitionTime": "2026-11-21T08:08:15.926525Z", **more}


def entry(status: str = "True", **more: str) -> Json:
    """As one that was seen in the wild, but for its labels."""
    return {
        "logName": "projects/team-data/logs/cloudaudit.googleapis.com%2Fsystem_event",
        "resource": {
            "type": "cloud_run_job",
            "labels": {"project_id": "team-data", "location": "europe-west1", "job_name": JOB},
        },
        "severity": "INFO" if status == "True" else "ERROR",
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "run.googleapis.com",
            "methodName": "/Jobs.RunJob",
            "resourceName": f"namespaces/team-data/executions/{JOB}-run",
            "status": {"message": f"Execution {JOB}-run has completed successfully."},
            "response": {
                "@type": "type.googleapis.com/google.cloud.run.v1.Execution",
                "kind": "Execution",
                "metadata": {
                    "name": f"{JOB}-run",
                    "namespace": "123456789012",
                    "labels": {
                        **OURS,
                        "run.googleapis.com/job": JOB,
                        "cloud.googleapis.com/location": "europe-west1",
                    },
                },
                "spec": {
                    "taskCount": 1.0,
                    "template": {
                        "spec": {
                            "containers": [
                                {
                                    "env": [
                                        {"name": "PUSHPOOL_RUN_ID", "value": RUN},
                                        {"name": "PUSHPOOL_ATTEMPT", "value": "3"},
                                        {"name": "PUSHPOOL_SUBMISSION", "value": "7"},
                                        {"name": "PUSHPOOL_RUN_TOKEN", "value": SECRET},
                                    ]
                                }
                            ]
                        }
                    },
                },
                "status": {
                    "conditions": [condition("Completed", status, **more), condition("Started", "True")],
                    "startTime": "2026-11-21T08:07:39.015624Z",
                    "completionTime": "2026-11-21T08:08:15.926525Z",
                    ("succeededCount" if status == "True" else "failedCount"): 1.0,
                },
            },
        },
    }


def heard(raw: Json) -> Event | None:
    return cloud_run.open_v2({}).parse_event(raw)


def test_success_is_the_end_of_its_attempt() -> None:
    event = heard(entry())

    assert event is not None
    assert (event.run_id, event.attempt) == (RUN, 2)
    seen = event.observation
    assert (seen.phase, seen.handle, seen.exit_code, seen.cause) == (Phase.STOPPED, HANDLE, 0, Cause.EXITED)
    assert seen.started is not None
    assert seen.ended is not None


def test_failure_tells_its_exit_code() -> None:
    message = f"Task {JOB}-run-task0 failed with exit code: 3 and message: The container exited with an error."

    event = heard(entry("False", reason="NonZeroExitCode", message=message))

    assert event is not None
    assert (event.observation.cause, event.observation.exit_code) == (Cause.EXITED, 3)


def test_the_environment_stays_unread() -> None:
    assert SECRET not in repr(heard(entry()))


def test_an_execution_of_a_shared_job_is_known_by_what_it_was_told() -> None:
    raw = entry()
    labels = raw["protoPayload"]["response"]["metadata"]["labels"]
    del labels["pushpool-run"], labels["pushpool-attempt"]

    event = heard(raw)

    assert event is not None
    assert (event.run_id, event.attempt, event.submit_seq) == (RUN, 3, 7)


def test_it_tells_of_which_submission_it_is() -> None:
    event = heard(entry())

    assert event is not None
    assert (event.attempt, event.submit_seq) == (2, 5)


def test_a_job_that_never_gets_ready_is_the_end_of_its_attempt() -> None:
    raw = entry()
    payload = raw["protoPayload"]
    payload.update(methodName="/Jobs.CreateJob", resourceName=f"namespaces/team-data/jobs/{JOB}")
    ready = condition("Ready", "False", reason="ContainerMissing", message="Image 'etl:1' not found.")
    payload["response"].update(kind="Job", status={"conditions": [ready]})
    payload["response"]["metadata"]["name"] = JOB

    event = heard(raw)

    assert event is not None
    assert (event.run_id, event.attempt) == (RUN, 2)
    assert (event.observation.handle, event.observation.cause) == (HANDLE, Cause.REFUSED)


def _payload(raw: Json) -> Json:
    found: Json = raw["protoPayload"]
    return found


STRANGE: dict[str, Change] = {
    "no payload": lambda raw: raw.pop("protoPayload"),
    "another service": lambda raw: _payload(raw).update(serviceName="storage.googleapis.com"),
    "who asked for it": lambda raw: _payload(raw).update(methodName="google.cloud.run.v2.Jobs.RunJob"),
    "no response": lambda raw: _payload(raw).pop("response"),
    "its start": lambda raw: _payload(raw)["response"]["status"]["conditions"][0].update(status="Unknown"),
    "no conditions": lambda raw: _payload(raw)["response"]["status"].pop("conditions"),
    "not ours": lambda raw: _payload(raw)["response"]["metadata"]["labels"].update({"managed-by": "terraform"}),
    "no labels": lambda raw: _payload(raw)["response"]["metadata"].pop("labels"),
    "no run": lambda raw: (
        _payload(raw)["response"]["metadata"]["labels"].pop("pushpool-run"),
        _payload(raw)["response"].pop("spec"),
    ),
    "an attempt that is no number": lambda raw: (
        _payload(raw)["response"]["metadata"]["labels"].update({"pushpool-attempt": "two"}),
        _payload(raw)["response"].pop("spec"),
    ),
    "no name": lambda raw: _payload(raw)["response"]["metadata"].pop("name"),
    "no place": lambda raw: (raw.pop("resource"), _payload(raw).pop("resourceName")),
    "texts for objects": lambda raw: _payload(raw).update(response="Execution"),
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_what_is_not_about_an_end_of_ours_is_passed_over(change: Change) -> None:
    raw = deepcopy(entry())
    change(raw)

    assert heard(raw) is None


def test_without_its_resource_the_project_is_that_of_its_name() -> None:
    raw = entry()
    del raw["resource"]

    event = heard(raw)

    assert event is not None
    assert event.observation.handle == HANDLE
