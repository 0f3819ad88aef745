"""What a policy must allow for an ECS request, where ministack enforces policies (AUTH=true).

docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html: ministack takes the
cluster for the resource of each action, knows no `ecs:cluster`, and never asks for iam:PassRole.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

from tests.servers.ecs.answers import Json, Refused
from tests.servers.ecs.theirs import app, ecs, evaluator, policy_actions, responses, router

_key: ContextVar[str] = ContextVar("pushpool_access_key", default="")


def install() -> None:
    """From now on ministack asks its policies with this."""
    theirs, context = policy_actions.extract_resource_arn, policy_actions.request_tag_context
    pin = evaluator.pin_request_caller

    def resource(service: str, method: str, path: str, headers: Json, body: bytes, *rest: Any) -> Any:
        found = _resource(headers, json.loads(body or b"{}")) if service == "ecs" else None
        return found or theirs(service, method, path, headers, body, *rest)

    def with_cluster(service: str, action: str, body: bytes, params: Any) -> Json:
        also = {"ecs:cluster": _arn("cluster", _cluster(json.loads(body or b"{}")))} if service == "ecs" else {}
        return {**context(service, action, body, params), **also}

    def pin_with_key(headers: Json, params: Any = None) -> None:
        pin(headers, params)
        _key.set(router.extract_access_key_id(headers, params or {}))

    policy_actions.extract_resource_arn = resource
    policy_actions.request_tag_context = with_cluster
    evaluator.pin_request_caller = pin_with_key


def may_pass_roles(definition: Json) -> None:
    """:raises Refused: the caller may not give these roles to tasks."""
    if not app.AUTH:
        return
    for name in ("taskRoleArn", "executionRoleArn"):
        role = definition.get(name)
        if role and evaluator.enforce(
            _key.get(), "iam:PassRole", "iam", responses.get_region(), role,
            {"iam:passedtoservice": "ecs-tasks.amazonaws.com"},
        ):  # fmt: skip
            raise Refused(
                "AccessDeniedException",  # github.com/aws/serverless-application-model/issues/2247
                f"User: {evaluator.caller_arn()} is not authorized to perform: iam:PassRole on resource: {role} "
                "because no identity-based policy allows the iam:PassRole action",
            )  # fmt: skip


def _resource(headers: Json, request: Json) -> str | None:
    match str(headers.get("x-amz-target", "")).rpartition(".")[2]:
        case "RunTask":
            definition = ecs._task_defs.get(ecs._resolve_td_key(request.get("taskDefinition", "")))
            return definition["taskDefinitionArn"] if definition else None
        case "StopTask":
            return _task(request, str(request.get("task", "")))
        case "DescribeTasks":
            return _task(request, str(next(iter(request.get("tasks", ())), "")))
        case "ListTasks":
            return _arn("container-instance", f"{_cluster(request)}/*")
        case "RegisterTaskDefinition" | "DescribeTaskDefinition" | "DeregisterTaskDefinition" | "ListTaskDefinitions":
            return "*"
        case _:
            return None


def _task(request: Json, reference: str) -> str:
    return reference if reference.startswith("arn:") else _arn("task", f"{_cluster(request)}/{reference}")


def _cluster(request: Json) -> str:
    return ecs._resolve_cluster_name(request.get("cluster", "default")) or "default"


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:ecs:{responses.get_region()}:{responses.get_account_id()}:{kind}/{name}"
