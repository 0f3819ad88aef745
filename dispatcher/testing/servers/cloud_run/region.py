"""One region of the project, as a person with Google's own clients has it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.serving import CloudRunApi
from dispatcher.testing.servers.cloud_run.theirs import Json
from dispatcher.testing.servers.ecs_cluster import eventually

HOW: Json = {"retry": None, "timeout": 10}


class Region:
    """Every call is made once."""

    def __init__(self, api: CloudRunApi) -> None:
        self.api = api
        self.jobs = api.client("JobsClient")
        self.executions = api.client("ExecutionsClient")
        self.tasks = api.client("TasksClient")
        self.parent = f"projects/{api.project.id}/locations/europe-west1"

    def message(self, kind: str, given: Json) -> Any:
        """One of `google.cloud.run_v2`."""
        return getattr(theirs.module("google.cloud.run_v2"), kind)(given)

    def job(self, *command: str, task: Json | None = None, **members: Any) -> Any:
        template: Json = members.pop("template", {})
        container = {"image": self.api.image, "command": list(command) or ["true"], **members.pop("container", {})}
        whole = {"max_retries": 0, "containers": [container], **(task or {})}
        return self.message("Job", {"template": {"template": whole, **template}, **members})

    def create(self, job: Any, name: str = "", **how: Any) -> Any:
        request = {"parent": self.parent, "job": job, "job_id": name or f"j-{uuid4().hex[:8]}", **how}
        return self.jobs.create_job(request, **HOW)

    def start(self, *command: str, **members: Any) -> str:
        """Name of the execution that the job starts as it is created."""
        members["start_execution_token"] = "run"  # noqa: S105 - a suffix of its name
        made = self.create(self.job(*command, **members)).metadata.name
        return f"{made}/executions/{made.rpartition('/')[2]}-run"

    def execution(self, name: str) -> Any:
        return self.executions.get_execution(name=name, **HOW)

    def ended(self, name: str) -> Any:
        return eventually(lambda: found if (found := self.execution(name)).completion_time else None)

    def running(self, name: str) -> Any:
        return eventually(lambda: found if (found := self.execution(name)).running_count else None)

    def task(self, name: str) -> Any:
        return next(iter(self.tasks.list_tasks(parent=name, **HOW)))


def said(execution: Any, kind: str = "Completed") -> Any:
    return next(each for each in execution.conditions if each.type_ == kind)
