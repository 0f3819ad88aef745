"""The task definition that a job's configuration asks for, as RegisterTaskDefinition takes it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from adapters.commands import env_of, words_of
from adapters.infrastructure.ecs.containers import container_in, pairs_of, with_numbers
from adapters.infrastructure.ecs.sizes import DEFAULT_CPU, DEFAULT_MEMORY, cpu_units, memory_mib
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

LOG_GROUP = "pushpool"
LONGEST_STOP_SECONDS = 120  # API ContainerDefinition, `stopTimeout`
RUNNER_HEADSTART_SECONDS = 5.0  # the runner kills its command itself, and then has its end to report


def made(definition: dict[str, Any], job: Job, main: str, region: str, *, is_fargate: bool) -> dict[str, Any]:
    """Everything but its family; nothing in it is of this run alone, so that runs share it.

    :raises InvalidInput: it lacks something.
    """
    configuration = job.configuration
    containers = [_container(each) for each in definition.get("containerDefinitions") or []]
    container = container_in(containers, main)
    if not container.get("image"):
        way_out = "give the deployment an image, or the pool a default for the variable `image`"
        raise InvalidInput(f"image is missing; {way_out}", path="image")
    _take_out_unset(container, configuration)
    _grace(container, configuration)
    _logs(container, configuration, job, region)
    _prefect_secrets(container, configuration)
    whole = {**definition, "containerDefinitions": containers}
    whole.pop("family", None)
    role = definition.get("executionRoleArn") or configuration.get("execution_role_arn")
    if role:
        whole["executionRoleArn"] = role
    if "runtimePlatform" in whole:
        whole["runtimePlatform"] = {"operatingSystemFamily": "LINUX", **whole["runtimePlatform"]}
    _size(whole, container, is_fargate=is_fargate)
    _placed(whole, configuration, is_fargate=is_fargate)
    if is_fargate and not role:
        _check_no_role_needed(container)
    return whole


def network_given(configuration: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`subnets`, `securityGroups`, `assignPublicIp`, as far as they are given; with or without ECS's wrapping."""
    given = wanted.get("networkConfiguration") or configuration.get("network_configuration") or {}
    if not isinstance(given, Mapping) or not isinstance(given.get("awsvpcConfiguration", {}), Mapping):
        raise InvalidInput(
            f"network_configuration is {given!r}: write subnets, securityGroups and assignPublicIp",
            path="network_configuration",
        )
    inner = {key: value for key, value in given.get("awsvpcConfiguration", given).items() if value}
    if inner.get("assignPublicIp") is True:
        inner["assignPublicIp"] = "ENABLED"
    elif given.get("awsvpcConfiguration", given).get("assignPublicIp") is False:
        inner["assignPublicIp"] = "DISABLED"
    return inner


def _container(given: Mapping[str, Any]) -> dict[str, Any]:
    container = dict(given)
    for key in ("command", "entryPoint"):
        if key in container:
            container[key] = words_of(container[key], f"containerDefinitions.{key}")
    if "environment" in container:
        container["environment"] = pairs_of(env_of(container["environment"], "containerDefinitions.environment"))
    return with_numbers(container)


def _take_out_unset(container: dict[str, Any], configuration: Mapping[str, Any]) -> None:
    """Null in `env` takes a variable away, one of the task definition too."""
    unset = {name for name, value in env_of(configuration.get("env")).items() if value is None}
    if "environment" in container:
        container["environment"] = [pair for pair in container["environment"] if pair["name"] not in unset]


def _grace(container: dict[str, Any], configuration: Mapping[str, Any]) -> None:
    grace = configuration.get("grace_seconds")
    if grace is None or "stopTimeout" in container:
        return
    if not isinstance(grace, int | float) or isinstance(grace, bool) or grace < 0:
        raise InvalidInput(f"grace_seconds is {grace!r}: write 0 or more seconds", path="grace_seconds")
    container["stopTimeout"] = min(LONGEST_STOP_SECONDS, max(2, math.ceil(grace + RUNNER_HEADSTART_SECONDS)))


def _logs(container: dict[str, Any], configuration: Mapping[str, Any], job: Job, region: str) -> None:
    if not configuration.get("configure_cloudwatch_logs"):
        return
    given = configuration.get("cloudwatch_logs_options") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"cloudwatch_logs_options is {given!r}: write names and their values", path="cloudwatch_logs_options"
        )
    container["logConfiguration"] = {
        "logDriver": "awslogs",
        "options": {
            "awslogs-create-group": "true",
            "awslogs-group": LOG_GROUP,
            "awslogs-region": region,
            "awslogs-stream-prefix": str(configuration.get("cloudwatch_logs_prefix") or job.pool),
            **{str(name): str(value) for name, value in given.items() if value is not None},
        },
    }


def _prefect_secrets(container: dict[str, Any], configuration: Mapping[str, Any]) -> None:
    """What Prefect's template offers for a job that speaks to a Prefect server."""
    for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        if arn := configuration.get(f"{name.lower()}_secret_arn"):
            container["secrets"] = [*container.get("secrets", []), {"name": name, "valueFrom": str(arn)}]


def _size(whole: dict[str, Any], container: dict[str, Any], *, is_fargate: bool) -> None:
    """Fargate wants it of the task; where tasks share a machine, it is wanted of the container."""
    cpu = cpu_units(whole.get("cpu", DEFAULT_CPU))
    memory = memory_mib(whole.get("memory", DEFAULT_MEMORY))
    if is_fargate or "cpu" in whole:
        whole["cpu"] = str(cpu)
    if is_fargate or "memory" in whole:
        whole["memory"] = str(memory)
    if not is_fargate:
        container.setdefault("cpu", cpu)
        if "memoryReservation" not in container:
            container.setdefault("memory", memory)


def _placed(whole: dict[str, Any], configuration: Mapping[str, Any], *, is_fargate: bool) -> None:
    if is_fargate:
        kinds = whole.get("requiresCompatibilities", [])
        whole["requiresCompatibilities"] = kinds if "FARGATE" in kinds else [*kinds, "FARGATE"]
        whole.setdefault("networkMode", "awsvpc")
    elif network_given(configuration, {}).get("subnets"):
        whole.setdefault("networkMode", "awsvpc")


def _check_no_role_needed(container: Mapping[str, Any]) -> None:
    """RegisterTaskDefinition refuses it too, but for every run anew."""
    for key, what in (("logConfiguration", "writes to CloudWatch"), ("secrets", "has secrets")):
        log_driver = container.get("logConfiguration", {}).get("logDriver", "awslogs")
        if key in container and (key == "secrets" or log_driver == "awslogs"):
            raise InvalidInput(
                f"execution_role_arn is missing, and the container {what}: Fargate does that in the name of this "
                "role; give one, or leave that out",
                path="execution_role_arn",
            )
