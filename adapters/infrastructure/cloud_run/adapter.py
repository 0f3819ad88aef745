"""Executions of Cloud Run jobs, as `Infrastructure`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from adapters import asking, google
from adapters.commands import RUN_TOKEN
from adapters.infrastructure.cloud_run import diagnosis, events, executions, outcomes, places
from adapters.infrastructure.cloud_run.clients import Clients
from adapters.infrastructure.cloud_run.labels import SUBMISSION
from adapters.infrastructure.cloud_run.messages import create_request, json_of, run_request
from adapters.infrastructure.cloud_run.rendering import request_of
from adapters.infrastructure.cloud_run.shared_jobs import SharedJobs
from dispatcher.errors import InvalidInput, Misconfigured, Unreachable
from dispatcher.ports import (
    Accepted,
    Event,
    Job,
    NotNow,
    Observation,
    Outcome,
    Phase,
    PoolUnavailable,
    Rate,
    Rejected,
    Request,
    Submission,
    Traits,
)
from dispatcher.runs import Target

CREATE_SECONDS, RUN_SECONDS, CALL_SECONDS = 20.0, 12.0, 10.0
PREPARATION_SECONDS = 16.0  # what comes before RunJob must be done by then
GETS_AT_MOST = 20  # more executions than that are looked for in pages
PAGE, PAGES_AT_MOST = 500, 4
# "Write requests per minute per region" of a new project; a job of a run is created and deleted.
WRITES_PER_MINUTE = 60

Json = Mapping[str, Any]


def traits_for(writes_per_minute: int) -> Traits:
    """Of a job for each run: 40 % each of the quota in the long run, and the rest for bursts."""
    each = Rate(max(1, writes_per_minute // 10), 0.4 * writes_per_minute / 60)
    return Traits(
        # A job exists until it is cleaned up, and that is after its attempt's end: its name starts nothing twice.
        token_life=None,
        visibility_delay=timedelta(seconds=30),
        submit_deadline=timedelta(seconds=30),
        start_deadline=timedelta(minutes=15),
        rates={"submit": (each,), "cleanup": (each,)},
        parallel=16,
        # There may be 1,000 jobs in a region ("Quotas and limits"): these are 240 at the most, and those that run.
        cleanup_after=timedelta(minutes=10),
        pushes_events=True,
        parameters_bytes=16_384,  # of the 32,768 that a variable may have
    )


def open_v2(settings: Mapping[str, str]) -> CloudRun:
    """Settings: `region`, where a template names none; `cloud_run_writes_per_minute`, the region's quota."""
    writes = int(settings.get("cloud_run_writes_per_minute") or WRITES_PER_MINUTE)
    return CloudRun(settings.get("region", ""), Clients(), traits_for(writes))


def open_v1(settings: Mapping[str, str]) -> CloudRun:
    """As `open_v2`: the templates of `cloud-run:push` are of the API's first version, and are translated."""
    return open_v2(settings)


class CloudRun:
    """Starts, finds, describes and stops executions, with the dispatcher's own credentials."""

    def __init__(self, region: str, clients: Clients, traits: Traits | None = None) -> None:
        self._region, self._clients = region, clients
        self._traits = traits or traits_for(WRITES_PER_MINUTE)
        self._shared_jobs = SharedJobs(clients)

    @property
    def traits(self) -> Traits:
        """Of a job for each run."""
        return self._traits

    def traits_of(self, target: Target) -> Traits:
        """RunJob has no token: it is never repeated. A job that is shared or kept is not cleaned up."""
        if _is_shared(target):
            # An execution is listed a little after RunJob has answered.
            life, visible = timedelta(0), timedelta(minutes=1)
            return replace(self._traits, token_life=life, visibility_delay=visible, cleanup_after=None)
        return replace(self._traits, cleanup_after=None) if target.group == places.KEPT else self._traits

    def request(self, job: Job) -> Request:
        configuration = job.configuration
        project = str(configuration.get("project") or google.project())
        region = str(configuration.get("region") or self._region)
        return request_of(job, places.checked_project(project), places.checked_region(region))

    def submit(self, submission: Submission) -> Outcome:
        try:
            if _is_shared(submission.request.target):
                return self._run(submission)
            return self._create(submission)
        except Misconfigured as error:
            return PoolUnavailable(str(error))
        except InvalidInput as error:
            return Rejected(str(error))

    def _create(self, submission: Submission) -> Outcome:
        target, body = submission.request.target, deepcopy(dict(submission.request.body["create_job"]))
        body["job"]["template"]["template"]["containers"][0]["env"].append(_token(submission))
        handle = places.started_execution(target.account, target.region, body["jobId"]).handle
        try:
            jobs = self._clients.jobs(target.region)
            jobs.create_job(request=create_request(body), retry=None, timeout=CREATE_SECONDS)
        except google.ERRORS as error:
            failure = google.failure(error)
            if failure.code != outcomes.EXISTS:  # else it is there, by this very submission
                return _outcome(error, "CreateJob")
        return Accepted(handle, self.links(target, handle))

    def _run(self, submission: Submission) -> Outcome:
        target, begun = submission.request.target, time.monotonic()
        body = deepcopy(dict(submission.request.body["run_job"]))
        body["overrides"]["containerOverrides"][0]["env"].append(_token(submission))
        until = begun + PREPARATION_SECONDS
        outcome = self._shared_jobs.ensure(target.region, submission.request.body["create_job"], until)
        if outcome is not None:
            return outcome
        if time.monotonic() > until:
            return NotNow("Google was slow to make the shared job; it was not run")
        try:
            jobs = self._clients.jobs(target.region)
            operation = jobs.run_job(request=run_request(body), retry=None, timeout=RUN_SECONDS)
        except google.ERRORS as error:
            if google.failure(error).code == "NOT_FOUND":
                self._shared_jobs.forget(body["name"])
                return NotNow(f"its shared job was deleted, and will be made anew: {google.failure(error)}")
            return _outcome(error, "RunJob")
        # The operation ends when the execution does: what is known of it by now is in its metadata.
        named = operation.metadata
        logs = {"logs": str(named.log_uri)} if named.log_uri else {}
        return Accepted(str(named.name), {**self.links(target, str(named.name)), **logs})

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        if not _is_shared(target):
            job = places.job_id(run_id, attempt, submit_seq)
            seen = self._described(target, places.started_execution(target.account, target.region, job).handle)
            return seen if seen.phase is not Phase.MISSING else None
        told = {"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt), SUBMISSION: str(submit_seq)}
        for execution in map(json_of, self._listed(target)):
            if told.items() <= _environment(execution).items():
                return self._observed(target, execution)
        return None

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One by one if they are few; many are looked for in the newest pages of the region, or of the shared job."""
        found: dict[str, Observation] = {}
        if len(handles) > GETS_AT_MOST:
            wanted = set(handles)
            for execution in islice(self._listed(target), PAGE * PAGES_AT_MOST):
                if (name := str(execution.name)) in wanted:
                    found[name] = self._observed(target, json_of(execution))
                if len(found) == len(wanted):
                    break
        return found | asking.each(partial(self._described, target), [each for each in handles if each not in found])

    def _described(self, target: Target, handle: str) -> Observation:
        """A job that starts as it is created has its execution a little later, or never."""
        missing = Observation(phase=Phase.MISSING, handle=handle)
        if (named := places.execution_of(handle)) is None:
            return missing
        execution = self._got("GetExecution", self._executions(target).get_execution, handle)
        if execution is not None:
            return self._observed(target, json_of(execution))
        if _is_shared(target):
            return missing
        name = places.job_name(places.parent(named.project, named.region), named.job)
        job = self._got("GetJob", self._jobs(target).get_job, name)
        return missing if job is None else executions.of_job(json_of(job), handle)

    def _observed(self, target: Target, execution: Json) -> Observation:
        """Its tasks are asked only if nothing else tells its exit code."""
        handle, code = str(execution["name"]), None
        if executions.is_asked_for(execution):
            found = self._got("ListTasks", self._tasks(target).list_tasks, handle, by="parent")
            code = executions.exit_code_of([json_of(task) for task in islice(found or (), 100)])
        return executions.observation(execution, handle, exit_code=code)

    def _listed(self, target: Target) -> Iterator[Any]:
        """The newest first. :raises Unreachable:"""
        job = target.group if _is_shared(target) else "-"
        name = places.job_name(places.parent(target.account, target.region), job)
        request = {"parent": name, "page_size": PAGE}
        try:
            yield from self._executions(target).list_executions(request, retry=None, timeout=CALL_SECONDS)
        except google.ERRORS as error:
            if google.failure(error).code != "NOT_FOUND":  # without the job there are no executions
                raise _unreachable(error, "ListExecutions") from error

    def _got(self, call: str, get: Any, name: object, *, by: str = "name") -> Any:
        """None: it is not there. :raises Unreachable:"""
        try:
            return get(**{by: name}, retry=None, timeout=CALL_SECONDS)
        except google.ERRORS as error:
            if google.failure(error).code == "NOT_FOUND":
                return None
            raise _unreachable(error, call) from error

    def cancel(self, target: Target, handle: str) -> None:
        if (named := places.execution_of(handle)) is None:
            return
        try:
            self._executions(target).cancel_execution(name=handle, retry=None, timeout=CALL_SECONDS)
        except google.ERRORS as error:
            code = google.failure(error).code
            if code == "NOT_FOUND" and not _is_shared(target):
                self._cancel_unstarted(target, named)
            elif code not in ("NOT_FOUND", "FAILED_PRECONDITION"):  # gone, or ended by itself
                raise _unreachable(error, "CancelExecution") from error

    def _cancel_unstarted(self, target: Target, named: places.Execution) -> None:
        """A job that has not started its execution goes: it would start it yet, or its run would wait for ever."""
        name = places.job_name(places.parent(named.project, named.region), named.job)
        job = self._got("GetJob", self._jobs(target).get_job, name)
        if job is None or executions.of_job(json_of(job), named.handle).phase is not Phase.PENDING:
            return
        # The etag: one that has started it meanwhile stays, and is asked to stop the next time.
        asked = {"name": name, "etag": job.etag}
        self._got("DeleteJob", self._jobs(target).delete_job, asked, by="request")

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        del target
        links = {"console": places.console_link(handle), "logs": places.logs_link(handle)}
        return {name: link for name, link in links.items() if link}

    def cleanup(self, target: Target, handle: str) -> None:
        """The job goes, and its execution with it; what it wrote stays in Cloud Logging."""
        named = places.execution_of(handle)
        if named is None or target.group:
            return
        name = places.job_name(places.parent(named.project, named.region), named.job)
        self._got("DeleteJob", self._jobs(target).delete_job, name)

    def parse_event(self, raw: Json) -> Event | None:
        """A LogEntry of the audit log, as its sink hands it on."""
        return events.event_of(raw)

    def diagnose(self, configuration: Json) -> Sequence[tuple[str, bool, str]]:
        return diagnosis.checks(configuration, self.request, self._clients)

    def close(self) -> None:
        self._clients.close()

    def _jobs(self, target: Target) -> Any:
        return _reached(self._clients.jobs, target)

    def _executions(self, target: Target) -> Any:
        return _reached(self._clients.executions, target)

    def _tasks(self, target: Target) -> Any:
        return _reached(self._clients.tasks, target)


def _is_shared(target: Target) -> bool:
    return target.group.startswith(places.SHARED)


def _token(submission: Submission) -> dict[str, str]:
    return {"name": RUN_TOKEN, "value": submission.token}


def _environment(execution: Json) -> dict[str, str]:
    container = ((execution.get("template") or {}).get("containers") or [{}])[0]
    return {str(pair.get("name")): str(pair.get("value", "")) for pair in container.get("env") or ()}


def _outcome(error: BaseException, call: str) -> Outcome:
    now = datetime.now(UTC)
    return outcomes.of_submission(google.failure(error), call, now=now, principal=google.principal())


def _reached(client: Any, target: Target) -> Any:
    try:
        return client(target.region)
    except Misconfigured as error:
        raise Unreachable(str(error)) from error


def _unreachable(error: BaseException, call: str) -> Unreachable:
    failure = google.failure(error)
    outcome = outcomes.of_failure(failure, call, now=datetime.now(UTC), principal=google.principal())
    return Unreachable(outcome.reason if isinstance(outcome, PoolUnavailable) else f"{call}: {failure}")
