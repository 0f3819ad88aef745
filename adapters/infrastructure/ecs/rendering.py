"""A job's configuration, in the skeleton of Prefect's ECS templates, as one RunTask and its task definition. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from adapters.commands import pruned, refuse_marks
from adapters.infrastructure.ecs import task_definitions
from adapters.infrastructure.ecs.containers import main_name
from adapters.infrastructure.ecs.overrides import overrides_of
from adapters.infrastructure.ecs.places import DEFAULT_CLUSTER, client_token, started_by
from adapters.infrastructure.ecs.sizes import check_fargate, cpu_units, memory_mib
from adapters.infrastructure.ecs.tags import tags_of
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

_FARGATE = ("FARGATE", "FARGATE_SPOT")
_LAUNCH_TYPES = (*_FARGATE, "EC2", "EXTERNAL")
_MAY_BE_SECRET = re.compile(r"containerOverrides\[\d+\]\.environment")
_WAY_OUT = "put it into env, or name a secret of AWS in the container's `secrets`"


def cluster_of(configuration: Mapping[str, Any]) -> str:
    """As it is given, a name or an ARN; named even where ECS would take its default."""
    wanted = configuration.get("task_run_request") or {}
    return str(wanted.get("cluster") or configuration.get("cluster") or DEFAULT_CLUSTER)


def body_of(job: Job, region: str) -> dict[str, Any]:
    """The request's body.

    `run_task` is RunTask's, but for `taskDefinition` and the token. `task_definition` is the registered one's name,
    or RegisterTaskDefinition's. `lookup` is there if subnets must be looked up for a task with an interface of its
    own: in which VPC ("" for the default one), and what is given of the network. The main container's override is
    the first; its name is empty if only a registered task definition knows it.

    :raises InvalidInput: the configuration cannot be made into a request.
    """
    configuration = job.configuration
    wanted = _part(configuration, "task_run_request")
    definition = _part(configuration, "task_definition")
    registered = wanted.pop("taskDefinition", None)
    _check_registered(definition, registered)
    placement = _placement(wanted, definition)
    name = _main(configuration, wanted, definition, registered=registered is not None)
    made: str | dict[str, Any] = str(registered)
    if registered is None:
        content = task_definitions.made(definition, job, name, region, is_fargate=_is_fargate(placement))
        made = {"family": family_of(job.pool, content), **content}
    overrides = overrides_of(job, wanted, definition, name, registered=registered is not None)
    _check_size(placement, made if isinstance(made, dict) else {}, overrides)
    run_task = {
        **_rest(wanted),
        "cluster": cluster_of(configuration),
        "count": 1,
        **placement,
        "overrides": overrides,
        "tags": tags_of(_labels(configuration, wanted), job),
        "startedBy": started_by(job.run_id, job.attempt, job.submit_seq),
        "clientToken": client_token(job.run_id, job.attempt, job.submit_seq),
    }
    if isinstance(made, Mapping) and made.get("networkMode") != "awsvpc":
        return {"task_definition": made, "run_task": run_task}
    network = task_definitions.network_given(configuration, wanted)
    if network.get("subnets"):
        return {"task_definition": made, "run_task": {**run_task, "networkConfiguration": awsvpc(network)}}
    where = {"vpc_id": str(configuration.get("vpc_id") or ""), "public_ip": _is_fargate(placement)}
    return {"task_definition": made, "run_task": run_task, "lookup": {**where, "given": network}}


def awsvpc(network: Mapping[str, Any]) -> dict[str, Any]:
    return {"awsvpcConfiguration": dict(network)}


def _part(configuration: Mapping[str, Any], name: str) -> dict[str, Any]:
    part: object = configuration.get(name) or {}
    if not isinstance(part, Mapping):
        raise InvalidInput(f"{name} is {part!r}: write an object", path=name)
    found: dict[str, Any] = pruned(part)
    _check_lists(found, name)
    refuse_marks(found, name, allowed=_MAY_BE_SECRET, way_out=_WAY_OUT)
    return found


def _check_lists(value: Mapping[str, Any], path: str) -> None:
    for key in ("containerDefinitions", "containerOverrides", "capacityProviderStrategy"):
        items = value.get(key, [])
        if not isinstance(items, list) or not all(isinstance(each, Mapping) for each in items):
            raise InvalidInput(f"{path}.{key} is {items!r}: write a list of objects", path=f"{path}.{key}")
    if "overrides" in value:
        if not isinstance(value["overrides"], Mapping):
            raise InvalidInput(f"{path}.overrides is {value['overrides']!r}: write an object", path=f"{path}.overrides")
        _check_lists(value["overrides"], f"{path}.overrides")


def _check_registered(definition: Mapping[str, Any], registered: object) -> None:
    containers = definition.get("containerDefinitions") or []
    image = next((each["image"] for each in containers if each.get("image")), None)
    if registered is not None and image:
        raise InvalidInput(
            f"image is {image!r}, and the task definition {registered!r} has one of its own, which nothing can "
            "override; leave out one of them",
            path="image",
        )


def family_of(pool: str, definition: Mapping[str, Any]) -> str:
    """One name for one content: whoever registers it first, it is the same one."""
    content = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    legal = re.sub(r"[^A-Za-z0-9_-]", "-", pool)[:150]
    return f"pushpool-{legal}-{hashlib.sha256(content.encode()).hexdigest()[:24]}"


def _placement(wanted: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """`launchType` or `capacityProviderStrategy`, which exclude each other; neither for the cluster's default."""
    if strategy := wanted.get("capacityProviderStrategy"):
        return {"capacityProviderStrategy": strategy}
    launch_type = wanted.get("launchType")
    if launch_type is None:
        # A task definition for EC2 alone goes where the cluster's default strategy says.
        return {} if "EC2" in definition.get("requiresCompatibilities", []) else {"launchType": "FARGATE"}
    if launch_type == "FARGATE_SPOT":  # is a capacity provider, and no launch type (API RunTask, `launchType`)
        return {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    if launch_type not in _LAUNCH_TYPES:
        way_out = "for any other capacity, name its provider in capacity_provider_strategy"
        raise InvalidInput(
            f"launch_type is {launch_type!r}; there are {', '.join(_LAUNCH_TYPES)}; {way_out}", path="launch_type"
        )
    return {"launchType": launch_type}


def _is_fargate(placement: Mapping[str, Any]) -> bool:
    if "capacityProviderStrategy" in placement:
        return any(each.get("capacityProvider") in _FARGATE for each in placement["capacityProviderStrategy"])
    return placement.get("launchType") == "FARGATE"


def _main(
    configuration: Mapping[str, Any], wanted: Mapping[str, Any], definition: Mapping[str, Any], *, registered: bool
) -> str:
    overridden = (wanted.get("overrides") or {}).get("containerOverrides") or [{}]
    name = configuration.get("container_name") or overridden[0].get("name")
    if registered:
        return str(name or "")
    return main_name(name, definition.get("containerDefinitions") or [])


def _check_size(placement: Mapping[str, Any], definition: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Of a registered task definition nothing is known here: only what overrides it is looked at."""
    if not _is_fargate(placement):
        return
    cpu = overrides.get("cpu") or definition.get("cpu")
    memory = overrides.get("memory") or definition.get("memory")
    if cpu and memory:
        check_fargate(cpu_units(cpu), memory_mib(memory))


def _labels(configuration: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, object]:
    """The name, a list of tags or the labels once more, and the labels over them."""
    given = wanted.get("tags") or {}
    if isinstance(given, list) and all(isinstance(each, Mapping) and "key" in each for each in given):
        given = {each["key"]: each.get("value", "") for each in given}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"tags is {given!r}: write names and their values", path="task_run_request.tags")
    named = {"Name": configuration["name"]} if configuration.get("name") else {}
    return {**named, **given, **(configuration.get("labels") or {})}


def _rest(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What RunTask takes besides, as the template has it."""
    ours = ("cluster", "launchType", "capacityProviderStrategy", "networkConfiguration", "overrides", "tags")
    return {key: value for key, value in wanted.items() if key not in ours}
