"""Tasks of Amazon ECS, as `Infrastructure`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from adapters import aws
from adapters.commands import RUN_TOKEN
from adapters.failures import Failure, Trouble
from adapters.infrastructure.ecs import diagnosis, outcomes, places, stops
from adapters.infrastructure.ecs.clients import PARALLEL, Clients
from adapters.infrastructure.ecs.containers import main_name
from adapters.infrastructure.ecs.definitions import Definition, Definitions
from adapters.infrastructure.ecs.networks import Networks
from adapters.infrastructure.ecs.overrides import MOST_CHARACTERS, characters_of, with_environment
from adapters.infrastructure.ecs.rendering import awsvpc, body_of, cluster_of
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

# What comes before RunTask must be done by then, so that RunTask's own 13 s end within `submit_deadline`.
PREPARATION_SECONDS = 15.0
DESCRIBED_AT_ONCE = 100  # API DescribeTasks

TRAITS = Traits(
    # A token is good for an hour from its first use at least ("Ensuring idempotency"); less one late repeat.
    token_life=timedelta(minutes=55),
    # "gradually up to five minutes" (API RunTask, on eventual consistency).
    visibility_delay=timedelta(minutes=5),
    submit_deadline=timedelta(seconds=30),
    # ECS itself gives up on a task without capacity after about 30 minutes, and says why.
    start_deadline=timedelta(minutes=35),
    # Developer guide, "Fargate throttling quotas": 20 a second, and no more at once. A little under both leaves room
    # for calls that bunch up on their way. One for all, since one account's budget is shared by its pools.
    rates={"submit": (Rate(12, 19.5),)},
    parallel=PARALLEL,
    pushes_events=True,
    # In JSON within JSON they may become twice as long, and longer with much that is not ASCII.
    parameters_bytes=4096,
    describe_batch=DESCRIBED_AT_ONCE,
)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """RunTask's parameters, the token among them, and the task definition that they name."""

    run_task: Mapping[str, Any] = field(repr=False)
    definition: Definition


def open(settings: Mapping[str, str]) -> Ecs:  # noqa: A001 - the registry calls it by this name
    """Settings: `region`, for clusters that are not named by their ARN; else the ambient one."""
    return Ecs(settings.get("region", ""), Clients())


class Ecs:
    """Starts, finds, describes and stops tasks, with the dispatcher's own credentials."""

    traits = TRAITS

    def __init__(self, region: str, clients: Clients) -> None:
        self._region_wanted = region
        self._clients = clients
        self._definitions = Definitions(clients)
        self._networks = Networks(clients)

    @cached_property
    def _region(self) -> str:
        return self._region_wanted or aws.ambient_region()

    def request(self, job: Job) -> Request:
        cluster = cluster_of(job.configuration)
        region = places.region_of_cluster(cluster) or str(job.configuration.get("region") or self._region)
        # No account: the ambient credentials reach one, and however a cluster is spelled it shares one rate budget.
        return Request(Target(places.TYPE, region=region, group=cluster), body_of(job, region))

    def submit(self, submission: Submission) -> Outcome:
        target, body = submission.request.target, submission.request.body
        begun = time.monotonic()
        prepared = self._prepared(target, body, submission.token)
        if not isinstance(prepared, _Prepared):
            return prepared
        if time.monotonic() - begun > PREPARATION_SECONDS:
            return NotNow("AWS was slow to say what RunTask needs to be told; the task was not asked for")
        definition = prepared.definition
        try:
            answer = self._client(target).run_task(**prepared.run_task)
        except aws.ERRORS as error:
            failure = aws.failure(error)
            if outcomes.is_definition_gone(failure):
                self._definitions.forget(target.region, definition.name)
            if "lookup" in body and outcomes.is_network_gone(failure):
                self._networks.forget(target.region, body["lookup"])
                return NotNow(f"what was looked up of the network is gone, and will be looked up anew: {failure}")
            outcome = outcomes.of_run_task(failure, is_ours=not isinstance(body["task_definition"], str))
        else:
            outcome = outcomes.of_answer(answer)
        if not isinstance(outcome, Accepted):
            return outcome
        logs = _logs_link(outcome.handle, prepared)
        return Accepted(outcome.handle, {**self.links(target, outcome.handle), **logs})

    def _prepared(self, target: Target, body: Mapping[str, Any], token: str) -> _Prepared | Outcome:
        """RunTask's parameters; or the outcome, if they cannot be had. Nothing has been started then."""
        call = "DescribeTaskDefinition or RegisterTaskDefinition"
        run_task = dict(body["run_task"])
        try:
            definition = self._definitions.of(target.region, body["task_definition"])
            call = "looking up subnets"
            if "lookup" in body and definition.content.get("networkMode") == "awsvpc":
                run_task["networkConfiguration"] = awsvpc(self._networks.of(target.region, body["lookup"]))
        except aws.ERRORS as error:
            return outcomes.of_failure(aws.failure(error), call)
        except InvalidInput as error:
            return Rejected(str(error))
        except Misconfigured as error:
            return PoolUnavailable(str(error))
        overrides = _told(run_task["overrides"], definition, token)
        if characters_of(overrides) > MOST_CHARACTERS:
            size = characters_of(overrides)
            return Rejected(f"the overrides have {size} characters with secrets, and ECS takes {MOST_CHARACTERS}")
        return _Prepared({**run_task, "taskDefinition": definition.name, "overrides": overrides}, definition)

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        started = places.started_by(run_id, attempt, submit_seq)
        ecs = self._client(target)
        # Without `desiredStatus` these are the ones that ECS means to run (API ListTasks).
        for wanted in ({}, {"desiredStatus": "STOPPED"}):
            try:
                arns = ecs.list_tasks(cluster=target.group, startedBy=started, **wanted)["taskArns"]
            except aws.ERRORS as error:
                if aws.failure(error).code == "ClusterNotFoundException":
                    return None  # and without a cluster there are no tasks
                raise _unreachable(error, "ListTasks") from error
            if arns:
                return self._first(target, sorted(arns))
        return None

    def _first(self, target: Target, arns: Sequence[str]) -> Observation:
        """One token starts one task; should there ever be several, the one that lives."""
        described = self.describe_many(target, arns)
        seen = [each for each in described.values() if each.phase is not Phase.MISSING]
        if not seen:  # listed, and not yet to be described
            return Observation(phase=Phase.PENDING, handle=arns[0])
        return min(seen, key=lambda each: each.phase is Phase.STOPPED)

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        found: dict[str, Observation] = {}
        known = [handle for handle in handles if places.task_of(handle) is not None]  # one that is none spoils a call
        for start in range(0, len(known), DESCRIBED_AT_ONCE):
            for task in self._described(target, known[start : start + DESCRIBED_AT_ONCE]):
                found[str(task.get("taskArn"))] = stops.observation(task)
        missing = {handle: Observation(phase=Phase.MISSING, handle=handle) for handle in handles}
        return {handle: found.get(handle, missing[handle]) for handle in handles}

    def _described(self, target: Target, handles: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        try:
            answer = self._client(target).describe_tasks(cluster=target.group, tasks=list(handles))
        except aws.ERRORS as error:
            if aws.failure(error).code == "ClusterNotFoundException":
                return []
            raise _unreachable(error, "DescribeTasks") from error
        tasks: Sequence[Mapping[str, Any]] = answer["tasks"]
        return tasks

    def cancel(self, target: Target, handle: str) -> None:
        if places.task_of(handle) is None:
            return
        try:
            self._client(target).stop_task(cluster=target.group, task=handle, reason="stopped by pushpool")
        except aws.ERRORS as error:
            if not is_task_gone(aws.failure(error)):
                raise _unreachable(error, "StopTask") from error

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        console = places.console_link(handle, target.group)
        return {"console": console} if console else {}

    def cleanup(self, target: Target, handle: str) -> None:
        """Nothing to do: tasks go by themselves, and their task definitions are there for the next."""
        del target, handle

    def parse_event(self, raw: Mapping[str, Any]) -> Event | None:
        """EventBridge's "ECS Task State Change" about a task of ours. What it holds of an environment stays unread."""
        detail = raw.get("detail")
        if raw.get("source") != "aws.ecs" or raw.get("detail-type") != "ECS Task State Change":
            return None
        if not isinstance(detail, Mapping) or places.task_of(str(detail.get("taskArn"))) is None:
            return None
        origin = places.origin(detail.get("startedBy"))
        if origin is None:
            return None
        return Event(origin.run_id, origin.attempt, stops.observation(detail), origin.submit_seq)

    def diagnose(self, configuration: Mapping[str, Any]) -> Sequence[tuple[str, bool, str]]:
        return diagnosis.checks(configuration, self.request, self._clients)

    def _client(self, target: Target) -> Any:
        try:
            return self._clients.of("ecs", target.region)
        except Misconfigured as error:
            raise Unreachable(str(error)) from error


def is_task_gone(failure: Failure) -> bool:
    """Stopped so long ago that ECS has forgotten it, or never there."""
    return failure.code == "ClusterNotFoundException" or (
        failure.trouble is Trouble.REFUSED and "not found" in failure.message.lower()
    )


def _told(overrides: Mapping[str, Any], definition: Definition, token: str) -> dict[str, Any]:
    """With the token, and with the main container's name if only the task definition knows it."""
    main, *others = overrides["containerOverrides"]
    named = {**main, "name": main["name"] or main_name(None, definition.content.get("containerDefinitions", ()))}
    pairs = [*main["environment"], {"name": RUN_TOKEN, "value": token}]
    return with_environment({**overrides, "containerOverrides": [named, *others]}, pairs)


def _logs_link(handle: str, prepared: _Prepared) -> dict[str, str]:
    """None can be told from the handle alone, so that it is kept with it."""
    main = str(prepared.run_task["overrides"]["containerOverrides"][0]["name"])
    containers: Iterable[Mapping[str, Any]] = prepared.definition.content.get("containerDefinitions", ())
    options = next((_log_options(each) for each in containers if each.get("name") == main), {})
    link = places.logs_link(handle, main, options)
    return {"logs": link} if link else {}


def _log_options(container: Mapping[str, Any]) -> dict[str, str]:
    logs = container.get("logConfiguration") or {}
    return dict(logs.get("options") or {}) if logs.get("logDriver") == "awslogs" else {}


def _unreachable(error: BaseException, call: str) -> Unreachable:
    failure = aws.failure(error)
    if failure.trouble is Trouble.DENIED:
        return Unreachable(outcomes.denied(failure, call))
    return Unreachable(f"{call}: {failure}")
