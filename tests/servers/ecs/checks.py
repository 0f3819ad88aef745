"""What AWS refuses of ECS requests and ministack takes.

Texts are AWS's where a public issue or document quotes them; the two that are ours say so.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.servers.ecs.answers import Json, Refused
from tests.servers.ecs.theirs import ecs

# docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html: CPU units to MiB.
FARGATE_SIZES = {
    256: frozenset({512, 1024, 2048}),
    512: frozenset(range(1024, 4096 + 1, 1024)),
    1024: frozenset(range(2048, 8192 + 1, 1024)),
    2048: frozenset(range(4096, 16384 + 1, 1024)),
    4096: frozenset(range(8192, 30720 + 1, 1024)),
    8192: frozenset(range(16384, 61440 + 1, 4096)),
    16384: frozenset(range(32768, 122880 + 1, 8192)),
}


def cluster_name(request: Json) -> str:
    """:raises Refused: there is none of that name; AWS makes none on its own, not even `default`."""
    name = ecs._resolve_cluster_name(request.get("cluster", "default"))
    if name is None or name not in ecs._clusters:
        raise Refused("ClusterNotFoundException", "Cluster not found.")
    return str(name)


def task_definition(request: Json) -> Json:
    """The one that is named, or the latest active one of the family that is named."""
    reference = str(request.get("taskDefinition", ""))
    found = ecs._task_defs.get(ecs._resolve_td_key(latest_active(reference)))
    if found is None:
        raise Refused("ClientException", "TaskDefinition not found.")
    if found["status"] != "ACTIVE":
        raise Refused("InvalidParameterException", "TaskDefinition is inactive")
    return dict(found)


def run_task(request: Json) -> None:
    """:raises Refused:"""
    cluster_name(request)
    definition = task_definition(request)
    _sizes(request)
    _overrides(request, definition)
    if definition.get("networkMode") == "awsvpc" and not _subnets(request):
        # github.com/fabfuel/ecs-deploy/issues/61
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if _on_fargate(request):
        _fargate(request, definition)


def register_task_definition(request: Json) -> None:
    """:raises Refused:"""
    if "FARGATE" not in request.get("requiresCompatibilities", ()):
        return
    if request.get("networkMode", "awsvpc") != "awsvpc":
        # github.com/aws/amazon-ecs-cli/issues/1145
        raise Refused("ClientException", "Fargate only supports network mode ‘awsvpc’.")  # noqa: RUF001
    _fargate_size(request.get("cpu"), request.get("memory"), code="ClientException")


def list_tasks(request: Json) -> None:
    """:raises Refused:"""
    cluster_name(request)
    # ListTasks, `startedBy`: "it must be the only filter that you use". desiredStatus is taken along with it.
    if request.get("startedBy") and any(request.get(other) for other in ("family", "serviceName", "containerInstance")):
        raise _invalid("startedBy must be the only filter")  # the text is ours


def describe_tasks(request: Json) -> None:
    """:raises Refused:"""
    cluster_name(request)
    if not request.get("tasks"):
        raise _invalid("Tasks cannot be empty.")  # github.com/aws/copilot-cli/issues/3551
    if len(request["tasks"]) > 100:
        raise _invalid("Tasks can have at most 100 items.")


def _invalid(message: str) -> Refused:
    return Refused("InvalidParameterException", message)


def latest_active(reference: str) -> str:
    """`family:revision` of what is named by its family alone; else as it is."""
    family = reference.rsplit("/", 1)[-1]
    if ":" in family:
        return reference
    revisions = [
        definition["revision"]
        for definition in ecs._task_defs.values()
        if definition["family"] == family and definition["status"] == "ACTIVE"
    ]
    return f"{family}:{max(revisions)}" if revisions else reference


def _sizes(request: Json) -> None:
    """The limits that botocore's model tells in its documentation of RunTask and does not check."""
    if not 1 <= int(request.get("count", 1)) <= 10:
        raise _invalid("count must be from 1 to 10")  # the text is ours
    if not re.fullmatch(r"[\x21-\x7e]{0,64}", str(request.get("clientToken", ""))):
        raise _invalid("Invalid clientToken")
    if not re.fullmatch(r"[A-Za-z0-9_/-]{0,128}", str(request.get("startedBy", ""))):
        raise _invalid("Invalid startedBy")
    if len(json.dumps(request.get("overrides", {}), separators=(",", ":"))) > 8192:
        # github.com/convox/rack/issues/1906
        raise _invalid("Container Overrides length must be at most 8192")


def _overrides(request: Json, definition: Json) -> None:
    known = {container["name"] for container in definition["containerDefinitions"]}
    for override in request.get("overrides", {}).get("containerOverrides", ()):
        if override.get("name") not in known:
            # github.com/azavea/django-ecsmanage/issues/21
            raise _invalid(
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            )


def _subnets(request: Json) -> Any:
    return request.get("networkConfiguration", {}).get("awsvpcConfiguration", {}).get("subnets")


def _on_fargate(request: Json) -> bool:
    providers = {item["capacityProvider"] for item in request.get("capacityProviderStrategy", ())}
    return request.get("launchType") == "FARGATE" or bool(providers & {"FARGATE", "FARGATE_SPOT"})


def _fargate(request: Json, definition: Json) -> None:
    if "FARGATE" not in definition.get("requiresCompatibilities", ()):
        raise _invalid("Task definition does not support launch_type FARGATE.")
    overrides = request.get("overrides", {})
    cpu, memory = (overrides.get(name) or definition.get(name) for name in ("cpu", "memory"))
    _fargate_size(cpu, memory, code="InvalidParameterException")


def _fargate_size(cpu: Any, memory: Any, *, code: str) -> None:
    if not cpu or not memory:
        raise Refused(code, "Fargate requires that 'cpu' and 'memory' be defined at the task level.")
    units, mebibytes = _number(cpu, "vcpu"), _number(memory, "gb")
    if mebibytes not in FARGATE_SIZES.get(units, ()):
        raise Refused(code, f"No Fargate configuration exists for given values: {units} CPU, {mebibytes} memory. "
                      "See the Amazon ECS documentation for the valid values.")  # fmt: skip


def _number(value: Any, unit: str) -> int:
    """`1024`, `1 vCPU` or `2GB`, as a task definition may say it."""
    text = str(value).strip().lower()
    try:
        return round(float(text.removesuffix(unit)) * 1024) if text.endswith(unit) else int(text)
    except ValueError:
        return -1
