"""Where executions run and what they are called there: projects, regions, names, handles and links. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from adapters.names import submission_name
from dispatcher.errors import InvalidInput

TYPE = "cloud-run-v2:push"
START_TOKEN = "run"  # noqa: S105 - of a job that starts as it is created (API Job, `startExecutionToken`)
SHARED = "pushpool-shared-"
KEPT = "kept"  # a target's group, for jobs that are not cleaned up

_EXECUTION = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/jobs/(?P<job>[^/]+)/executions/(?P<name>[^/]+)"
)
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+[0-9]+")
_EXAMPLES = "europe-west1, us-central1, asia-northeast1"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution's full name in parts."""

    project: str
    region: str
    job: str
    name: str

    @property
    def handle(self) -> str:
        return f"{job_name(parent(self.project, self.region), self.job)}/executions/{self.name}"


def execution_of(handle: str) -> Execution | None:
    """None: it is no execution's name."""
    found = _EXECUTION.fullmatch(handle)
    return Execution(found["project"], found["region"], found["job"], found["name"]) if found else None


def parent(project: str, region: str) -> str:
    return f"projects/{project}/locations/{region}"


def job_name(parent: str, job_id: str) -> str:
    return f"{parent}/jobs/{job_id}"


def job_id(run_id: str, attempt: int, submit_seq: int) -> str:
    """Of the job of one submission. With its token it has fewer than 63 characters, as the API wants it."""
    return submission_name(run_id, attempt, submit_seq)


def started_execution(project: str, region: str, job_id: str) -> Execution:
    """What Cloud Run calls the execution that a job of one submission starts: the job's name and the token."""
    return Execution(project, region, job_id, f"{job_id}-{START_TOKEN}")


def shared_job_id(pool: str, content: Mapping[str, Any]) -> str:
    """One name for one content of one pool: whoever makes it first, it is the same one."""
    text = json.dumps([pool, content], sort_keys=True, separators=(",", ":"))
    return f"{SHARED}{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def checked_project(project: str) -> str:
    """:raises InvalidInput: it cannot be one, or is its number, by which events do not call it."""
    if not project:
        way_out = "set the variable `project`, or GOOGLE_CLOUD_PROJECT for the dispatcher"
        raise InvalidInput(f"project is not given, and the dispatcher has none of its own; {way_out}", path="project")
    if not re.fullmatch(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", project):
        raise InvalidInput(
            f"project is {project!r}: write the project's id, as in `my-project-123`; its number does not do",
            path="project",
        )
    return project


def checked_region(region: str) -> str:
    """:raises InvalidInput: it looks like none."""
    if not _REGION.fullmatch(region):
        what = f"is {region!r}, which is no region of Cloud Run" if region else "is not given"
        raise InvalidInput(f"region {what}; set the variable `region`: {_EXAMPLES} or another", path="region")
    return region


def console_link(handle: str) -> str:
    """Where the console shows the execution; "" for what is none."""
    found = execution_of(handle)
    if found is None:
        return ""
    place = f"{found.region}/{found.name}"
    return f"https://console.cloud.google.com/run/jobs/executions/details/{place}/tasks?project={found.project}"


def logs_link(handle: str) -> str:
    """Where Cloud Logging shows what it wrote, as the API's `logUri` has it; "" for what is no execution."""
    found = execution_of(handle)
    if found is None:
        return ""
    lines = (
        'resource.type="cloud_run_job"',
        f'resource.labels.job_name="{found.job}"',
        f'resource.labels.location="{found.region}"',
        f'labels."run.googleapis.com/execution_name"="{found.name}"',
    )
    wanted = quote("\n".join(lines), safe="/.")
    return f"https://console.cloud.google.com/logs/viewer?project={found.project}&advancedFilter={wanted}"
