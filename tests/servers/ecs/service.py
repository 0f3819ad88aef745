"""ECS as AWS answers it: ministack's records, with the checks, tokens, lives and events that it lacks."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from datetime import datetime

from tests.servers.ecs import checks, faults, policies
from tests.servers.ecs.answers import Answer, Json, Refused, answer, payload_of
from tests.servers.ecs.life import Life, view
from tests.servers.ecs.news import News
from tests.servers.ecs.theirs import ecs, responses
from tests.servers.ecs.tokens import Tokens

log = logging.getLogger("pushpool.ecs")


class Service:
    """`most_seconds`: the longest that a container may take to stop."""

    def __init__(self, most_seconds: int) -> None:
        self.faults = faults.Faults()
        self.news = News()
        self.requests: list[Json] = []
        self._most_seconds = most_seconds
        self._tokens = Tokens(lambda arn: dict(ecs._tasks.get(arn) or {}))
        self._lives: dict[str, Life] = {}
        self._theirs: dict[str, Callable[[Json], Answer]] = dict(ecs._ACTION_MAP)

    def install(self) -> None:
        """From now on ministack answers with this."""
        mine: dict[str, Callable[[Json], Json]] = {
            "RunTask": self._run_task,
            "StopTask": self._stop_task,
            "DescribeTasks": self._describe_tasks,
            "ListTasks": self._list_tasks,
            "RegisterTaskDefinition": self._register_task_definition,
        }
        for operation, of_mine in mine.items():
            ecs._ACTION_MAP[operation] = _answering(operation, of_mine)
        find = ecs._resolve_td_key
        ecs._resolve_td_key = lambda reference: find(checks.latest_active(reference or ""))
        ecs._run_task_worker = self._live
        # It would take a look at Docker for the end of a task, which its life tells.
        ecs._maybe_mark_stopped = lambda *_: None
        ecs._ts_to_epoch = _seconds

    def life(self, arn: str) -> Life:
        """:raises KeyError: no such task has a container."""
        return self._lives[arn]

    def forget(self, arn: str) -> None:
        """As an hour after its end: ECS does not know the task. One that runs is killed, and nothing is told of that.

        :raises KeyError: no such task has a container.
        """
        _, _, _, region, account, _ = arn.split(":", 5)
        with responses.request_scope(account, region):
            self.life(arn).forget()
            ecs._tasks.pop(arn, None)
            ecs._tags.pop(arn, None)

    def _run_task(self, request: Json) -> Json:
        self.requests.append(copy.deepcopy(request))
        fault = self.faults.take()
        faults.before(fault)
        checks.run_task(request)
        policies.may_pass_roles({**checks.task_definition(request), **request.get("overrides", {})})
        place = (responses.get_account_id(), responses.get_region(), checks.cluster_name(request))
        payload = self._tokens.once(place, request, lambda: self._launch(request, fault))
        faults.after(fault)
        return payload

    def _launch(self, request: Json, fault: faults.Fault | None) -> Json:
        cluster = ecs._clusters[checks.cluster_name(request)]
        failed = faults.instead(fault, cluster["clusterArn"])
        if failed is not None:
            return failed
        definition = checks.task_definition(request)
        whole = {
            **request,
            "taskDefinition": definition["taskDefinitionArn"],
            "group": request.get("group") or f"family:{definition['family']}",
            "tags": [*request.get("tags", ()), *_propagated(request, definition)],
            # It comes back in the task's record, for `_live` to see; only services use it.
            "_deploymentId": fault,
        }
        payload = payload_of(self._theirs["RunTask"](whole))
        return {**payload, "tasks": [view(task) for task in payload["tasks"]]}

    def _live(self, task: Json, definition: Json, overrides: list[Json], _: object, account: str, region: str) -> None:
        """What each task's own thread does."""
        with responses.request_scope(account, region):
            life = self._lives[task["taskArn"]] = Life(task, definition, overrides, self.news, self._most_seconds)
            not_started = task["_deployment_id"] is faults.Fault.NO_START
            try:
                life.live("Timeout waiting for network interface provisioning to complete." if not_started else None)
            except Exception:
                log.exception("the life of %s ended in an error", task["taskArn"])

    def _stop_task(self, request: Json) -> Json:
        task = _task(request.get("task", ""), checks.cluster_name(request))
        if task is None:
            raise Refused("InvalidParameterException", "The referenced task was not found.")
        arn = task["taskArn"]
        if arn in self._lives:
            self._lives[arn].stop("UserInitiated", request.get("reason") or "Task stopped by user")
        else:
            payload_of(self._theirs["StopTask"](request))
        # The reference of StopTask has it so.
        ecs._tags.pop(arn, None)
        return {"task": view(task)}

    def _describe_tasks(self, request: Json) -> Json:
        checks.describe_tasks(request)
        cluster = checks.cluster_name(request)
        payload: Json = {"tasks": [], "failures": []}
        for reference in request["tasks"]:
            task = _task(reference, cluster)
            if task is None:
                payload["failures"].append({"arn": _arn(reference, cluster), "reason": "MISSING"})
                continue
            shown = {**view(task), "tags": ecs._tags.get(task["taskArn"], [])}
            if "TAGS" not in request.get("include", ()):
                del shown["tags"]
            payload["tasks"].append(shown)
        return payload

    def _list_tasks(self, request: Json) -> Json:
        checks.list_tasks(request)
        return payload_of(self._theirs["ListTasks"](request))

    def _register_task_definition(self, request: Json) -> Json:
        checks.register_task_definition(request)
        policies.may_pass_roles(request)
        payload = payload_of(self._theirs["RegisterTaskDefinition"](request))
        registered = ecs._sanitize(payload["taskDefinition"])
        return {**payload, "taskDefinition": {name: value for name, value in registered.items() if value != ""}}


def _answering(operation: str, handle: Callable[[Json], Json]) -> Callable[[Json], Answer]:
    def answering(request: Json) -> Answer:
        try:
            return answer(operation, copy.deepcopy(handle(request)))
        except Refused as exc:
            return exc.answer()

    return answering


def _task(reference: str, cluster: str) -> Json | None:
    """By ARN or by whole id; ministack takes the end of an id, too."""
    found: Json | None = ecs._resolve_task(reference, cluster)
    return found if found and found["taskArn"].endswith(f"/{cluster}/{reference.rsplit('/', 1)[-1]}") else None


def _arn(reference: str, cluster: str) -> str:
    if reference.startswith("arn:"):
        return reference
    return f"arn:aws:ecs:{responses.get_region()}:{responses.get_account_id()}:task/{cluster}/{reference}"


def _propagated(request: Json, definition: Json) -> list[Json]:
    if request.get("propagateTags") != "TASK_DEFINITION":
        return []
    return list(ecs._tags.get(definition["taskDefinitionArn"], []))


def _seconds(moment: object) -> object:
    """Of a time that is kept as text, with its milliseconds; ministack cuts them off."""
    return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else moment
