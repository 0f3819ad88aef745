"""One project's jobs, executions and tasks, and what each call of the API does to them."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from dispatcher.testing.servers.cloud_run import conditions, faults, news, resources, rules, schema
from dispatcher.testing.servers.cloud_run.conditions import condition, has_ended
from dispatcher.testing.servers.cloud_run.containers import shims
from dispatcher.testing.servers.cloud_run.life import Ground, Life
from dispatcher.testing.servers.cloud_run.refusals import Refused, absent, denied, over_quota
from dispatcher.testing.servers.cloud_run.theirs import Json

_PLACE = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)")


@dataclass(frozen=True, slots=True)
class Operation:
    """A long-running one: of what, and when that is done. `gone`: the resource as it was when it was deleted."""

    name: str
    kind: str
    resource: str
    gone: Json | None = None


@dataclass(slots=True)
class Manner:
    """How the service behaves from now on. Quotas are for each region (manual, "Quotas and limits")."""

    most_jobs: int = 1000
    most_running: int = 1000
    retained: int = 1000  # completed executions of one job
    grace_seconds: float = 10.0
    not_started: str = ""  # why no execution gets a container
    gets_ready: bool = True  # else a job that is made stays as it is, without an execution


@dataclass(slots=True)
class Project:
    """`images`: those there are, and their entry points. `secret`: a secret's value by its name and version."""

    folder: Path
    id: str = "pushpool-test"
    number: str = "123456789012"
    images: dict[str, list[str]] = field(default_factory=dict)
    secret: Callable[[str, str], str | None] | None = None
    manner: Manner = field(default_factory=Manner)
    ordered: faults.Faults = field(default_factory=faults.Faults)
    news: news.News = field(default_factory=news.News)
    requests: list[tuple[str, Json]] = field(default_factory=list)  # each CreateJob and RunJob, the refused ones too
    calls: Counter[str] = field(default_factory=Counter)  # how often each was made, the refused ones too
    started: list[tuple[str, dict[str, str]]] = field(
        default_factory=list
    )  # each container: whose, and what it was told
    holds: dict[str, faults.Hold] = field(default_factory=dict)  # by the call's name
    jobs: dict[str, Json] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    changing: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        shims(self.folder / "bin")

    # jobs

    def create_job(self, parent: str, job: Json, job_id: str, *, validate_only: bool = False) -> Operation:
        """:raises Refused:"""
        fault = self._called("CreateJob", parent, {"parent": parent, "job": job, "jobId": job_id})
        self._check_place(parent, "run.jobs.create")
        rules.check_job(job, job_id)
        name = f"{parent}/jobs/{job_id}"
        with self.changing:
            if name in self.jobs:
                raise Refused("ALREADY_EXISTS", f"Resource '{job_id}' already exists.")
            if len([each for each in self.jobs if each.startswith(parent)]) >= self.manner.most_jobs:
                raise over_quota("Jobs")
            made = resources.new_job(name, job, self._creator)
            if validate_only:
                return Operation(f"{parent}/operations/{uuid4()}", "Job", name, made)
            self.jobs[name] = made
            operation = self._operation(parent, "Job", name)
            if self.manner.gets_ready:
                self._ready(made)
        self._replied("CreateJob", fault)
        return operation

    def get_job(self, name: str) -> Json:
        """:raises Refused:"""
        self._called("GetJob", name, None)
        self._check_place(name, "run.jobs.get")
        with self.changing:
            if name not in self.jobs:
                raise absent(name)
            return self.jobs[name]

    def list_jobs(self, parent: str) -> list[Json]:
        """:raises Refused:"""
        self._called("ListJobs", parent, None)
        self._check_place(parent, "run.jobs.list")
        with self.changing:
            found = [job for name, job in self.jobs.items() if name.startswith(f"{parent}/")]
        return sorted(found, key=lambda job: str(job["createTime"]), reverse=True)

    def delete_job(self, name: str, etag: str = "", *, validate_only: bool = False) -> Operation:
        """Its executions go with it; those that run are cancelled. :raises Refused:"""
        fault = self._called("DeleteJob", name, None)
        self._check_place(name, "run.jobs.delete")
        with self.changing:
            if name not in self.jobs:
                raise absent(name)
            if etag and etag != self.jobs[name]["etag"]:
                raise Refused("ABORTED", f"Conflict for resource '{name}': version was specified but is not current.")
            if validate_only:
                return self._operation(name, "Job", name)
            gone = self.jobs.pop(name)
            gone["deleteTime"] = resources.now()
            for execution in [each for each in self.lives if each.startswith(f"{name}/")]:
                self.lives.pop(execution).cancel()
            operation = self._operation(name, "Job", name, gone)
        self._replied("DeleteJob", fault)
        return operation

    def run_job(self, name: str, overrides: Json, *, validate_only: bool) -> Operation:
        """:raises Refused:"""
        fault = self._called("RunJob", name, {"name": name, "overrides": overrides})
        self._check_place(name, "run.jobs.run")
        with self.changing:
            if name not in self.jobs:
                raise absent(name)
            job = self.jobs[name]
            self._check_overrides(job, overrides)
            if job["terminalCondition"]["state"] != conditions.SUCCEEDED:
                raise Refused("FAILED_PRECONDITION", f"Job {name.rpartition('/')[2]} is not ready and cannot be run.")
            self._check_running(name)
            execution = f"{name}/executions/{name.rpartition('/')[2]}-{resources.suffix()}"
            if validate_only:
                return self._operation(name, "Job", name)
            life = self._started(job, execution, overrides)
            operation = self._operation(name, "Execution", life.execution["name"])
        self._replied("RunJob", fault)
        return operation

    # executions and tasks

    def get_execution(self, name: str) -> Json:
        """:raises Refused:"""
        self._called("GetExecution", name, None)
        self._check_place(name, "run.executions.get")
        return self._life(name).execution

    def list_executions(self, parent: str) -> list[Json]:
        """Of one job, or of all (`jobs/-`); the newest first. :raises Refused:"""
        self._called("ListExecutions", parent, None)
        self._check_place(parent, "run.executions.list")
        with self.changing:
            prefix = parent.removesuffix("-") if parent.endswith("/-") else f"{parent}/"
            found = [life.execution for name, life in self.lives.items() if name.startswith(prefix)]
        return sorted(found, key=lambda execution: str(execution["createTime"]), reverse=True)

    def cancel_execution(self, name: str, *, validate_only: bool = False) -> Operation:
        """:raises Refused:"""
        fault = self._called("CancelExecution", name, None)
        self._check_place(name, "run.executions.cancel")
        life = self._life(name)
        if not validate_only:
            life.cancel()
        operation = self._operation(name, "Execution", name)
        self._replied("CancelExecution", fault)
        return operation

    def delete_execution(self, name: str) -> Operation:
        """:raises Refused:"""
        self._called("DeleteExecution", name, None)
        life = self._life(name)
        life.cancel()
        with self.changing:
            del self.lives[name]
        return self._operation(name, "Execution", name, life.execution)

    def list_tasks(self, parent: str) -> list[Json]:
        """:raises Refused:"""
        self._called("ListTasks", parent, None)
        self._check_place(parent, "run.tasks.list")
        return self._life(parent).tasks

    # the hand's

    def close(self) -> None:
        """Every container is killed."""
        with self.changing:
            self.manner.grace_seconds = 0.0
            lives = list(self.lives.values())
        for life in lives:
            life.cancel()
        for life in lives:
            life.join(5)

    def operation_of(self, name: str) -> tuple[Operation, Json, bool]:
        """It, its resource, and whether it is done. :raises Refused:"""
        with self.changing:
            operation = self.operations.get(name)
            if operation is None:
                raise absent(name)
            return operation, *self.progress(operation)

    def progress(self, operation: Operation) -> tuple[Json, bool]:
        """Its resource as it is now, and whether it is done."""
        if operation.gone is not None:
            return operation.gone, True
        if operation.kind == "Job":
            job = self.jobs.get(operation.resource, {})
            return job, not job.get("reconciling")
        life = self.lives.get(operation.resource)
        return (life.execution, has_ended(life.execution)) if life is not None else ({}, True)

    @property
    def _creator(self) -> str:
        return f"dispatcher@{self.id}.iam.gserviceaccount.com"

    def _called(self, call: str, place: str, request: Json | None) -> faults.Fault | None:
        """:raises Refused: as was ordered."""
        with self.changing:
            self.calls[call] += 1
            if request is not None:
                self.requests.append((call, request))
        fault = self.ordered.take(call)
        faults.before(fault, call, place, self.number)
        return fault

    def _replied(self, call: str, fault: faults.Fault | None) -> None:
        """:raises Refused: the reply is lost."""
        if (hold := self.holds.get(call)) is not None:
            hold.pass_through()
        faults.after(fault)

    def _check_place(self, name: str, permission: str) -> None:
        found = _PLACE.match(name)
        if found is None:
            raise Refused("INVALID_ARGUMENT", f"Invalid resource name: {name!r}.")
        if found["project"] not in (self.id, self.number):
            raise denied(permission, name)
        if found["region"] not in schema.regions():
            raise Refused("PERMISSION_DENIED", f"Location {found['region']} is not found or access is unauthorized.")

    def _check_overrides(self, job: Json, overrides: Json) -> None:
        schema.check("Overrides", overrides, "overrides")
        task = job["template"]["template"]
        rules.check_timeout(task, overrides.get("timeout"), "overrides.timeout")
        names = {container.get("name", "") for container in task["containers"]}
        for number, each in enumerate(overrides.get("containerOverrides", [])):
            rules.check_env(each.get("env", []), f"overrides.container_overrides[{number}].env")
            if each.get("name") and each["name"] not in names:
                raise Refused("INVALID_ARGUMENT", f"overrides: there is no container {each['name']}.")

    def _check_running(self, name: str) -> None:
        parent = _PLACE.match(name)
        running = [
            each for each, life in self.lives.items()
            if parent is not None and each.startswith(parent[0]) and not has_ended(life.execution)
        ]  # fmt: skip
        if len(running) >= self.manner.most_running:
            raise over_quota("running Executions")

    def _ready(self, job: Json) -> None:
        """The service does this a little later."""
        why = self._unready(job)
        job["reconciling"] = False
        if why is not None:
            job["terminalCondition"] = condition("Ready", conditions.FAILED, why[1], reason=why[0])
            self.news.tell(news.of_failed_job(job, self.number))
            return
        job["terminalCondition"] = condition("Ready", conditions.SUCCEEDED)
        token = job.get("startExecutionToken") or job.get("runExecutionToken")
        if token:
            self._started(job, f"{job['name']}/executions/{job['name'].rpartition('/')[2]}-{token}", {})

    def _unready(self, job: Json) -> tuple[str, str] | None:
        task = job["template"]["template"]
        for container in task["containers"]:
            if container["image"] not in self.images:
                return "CONTAINER_MISSING", f"Image '{container['image']}' not found."
        return self._without_secret(task)

    def _without_secret(self, task: Json) -> tuple[str, str] | None:
        references = [each["secret"] for each in task.get("volumes", []) if "secret" in each]
        pairs = [pair for container in task["containers"] for pair in container.get("env", [])]
        references += [pair["valueSource"]["secretKeyRef"] for pair in pairs if "valueSource" in pair]
        for each in references:
            name, version = each["secret"], each.get("version", "latest")
            if self.secret is not None and self.secret(name, version) is None:
                secret = f"projects/{self.number}/secrets/{name}/versions/{version}"
                account = task.get("serviceAccount", f"{self.number}-compute@developer.gserviceaccount.com")
                words = (
                    f"Permission denied on secret: {secret} for Revision service account {account}. The service "
                    "account used must be granted the 'Secret Manager Secret Accessor' role at the secret, project or "
                    "higher level."
                )
                return "SECRETS_ACCESS_CHECK_FAILED", words
        return None

    def _started(self, job: Json, name: str, overrides: Json) -> Life:
        execution = resources.new_execution(job, name, overrides, self._creator)
        life = Life(execution, self._ground(), self.manner.not_started)
        self.lives[name] = life
        job["executionCount"] = job.get("executionCount", 0) + 1
        job["latestCreatedExecution"] = {"name": name.rpartition("/")[2], "createTime": execution["createTime"]}
        self._forget_the_oldest(job["name"])
        life.begin()
        return life

    def _forget_the_oldest(self, job: str) -> None:
        ended = [
            name for name, life in self.lives.items()
            if name.startswith(f"{job}/") and has_ended(life.execution)
        ]  # fmt: skip
        for name in ended[: max(0, len(ended) - self.manner.retained)]:
            del self.lives[name]

    def _ground(self) -> Ground:
        return Ground(
            folder=self.folder / "containers",
            bin_folder=self.folder / "bin",
            changing=self.changing,
            entrypoint=self.images.get,
            secret=self.secret or (lambda name, version: f"{name}/{version}"),
            started=lambda execution, told: self.started.append((execution, told)),
            tell=lambda execution: self.news.tell(news.of_execution(execution, self.number)),
            grace_seconds=self.manner.grace_seconds,
        )

    def _life(self, name: str) -> Life:
        with self.changing:
            if name not in self.lives:
                raise absent(name)
            return self.lives[name]

    def _operation(self, place: str, kind: str, resource: str, gone: Json | None = None) -> Operation:
        found = _PLACE.match(place)
        assert found is not None
        made = Operation(f"{found[0]}/operations/{uuid4()}", kind, resource, gone)
        with self.changing:
            self.operations[made.name] = made
        return made

    def behave(self, **changes: object) -> None:
        """From now on: as before, but for these of `Manner`."""
        self.manner = replace(self.manner, **changes)  # type: ignore[arg-type]
