"""RunTask's `overrides`: what of a task is this run's alone. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from adapters.commands import RESERVED, command_of, env_of, has_runner, words_of
from adapters.infrastructure.ecs.containers import pairs_of, with_numbers
from adapters.infrastructure.ecs.sizes import cpu_units, memory_mib
from dispatcher.errors import TooLarge
from dispatcher.ports import Job

MOST_CHARACTERS = 8192  # with all of its JSON (API RunTask, `overrides`)
TOKEN_CHARACTERS = 320  # kept free for the token, which the request does not hold

_PARAMETERS = "PUSHPOOL_PARAMETERS"


def overrides_of(
    job: Job, wanted: Mapping[str, Any], definition: Mapping[str, Any], name: str, *, registered: bool
) -> dict[str, Any]:
    """The main container's override first, whatever the template's order; then the sidecars'; then the task's own.

    :raises InvalidInput: they cannot be made. :raises TooLarge: ECS takes no such long ones.
    """
    configuration = job.configuration
    given = dict(wanted.get("overrides") or {})
    containers = [dict(each) for each in given.pop("containerOverrides", [])]
    main = next((each for each in containers if each.get("name", name) == name), {})
    sidecars = [_sidecar(each) for each in containers if each is not main]
    command = configuration.get("command") or main.pop("command", None)
    if not registered:
        command = command or _defined_command(definition, name)
    argv = command_of(command, configuration.get("runner"))
    main = {"name": name, **main, "environment": pairs_of(_environment(job, main)), "command": argv}
    if not argv:
        del main["command"]  # the image's own
    role = configuration.get("execution_role_arn") or definition.get("executionRoleArn")
    if registered and role:
        given.setdefault("executionRoleArn", role)
    overrides = {"containerOverrides": [with_numbers(main), *sidecars], **_with_texts(given)}
    return _fitting(overrides, is_run=has_runner(argv, configuration.get("runner")))


def _defined_command(definition: Mapping[str, Any], name: str) -> object:
    containers = definition.get("containerDefinitions") or []
    return next((each.get("command") for each in containers if each.get("name", name) == name), None)


def _sidecar(container: dict[str, Any]) -> dict[str, Any]:
    made = dict(container)
    if "command" in made:
        made["command"] = words_of(made["command"])
    if "environment" in made:
        made["environment"] = pairs_of(env_of(made["environment"], "environment"))
    return with_numbers(made)


def _environment(job: Job, main: Mapping[str, Any]) -> dict[str, Any]:
    """The override's own, `env` over it, and ours over all; names of ours that others set are dropped."""
    env = env_of(job.configuration.get("env"))
    nested = main.get("environment")
    if isinstance(nested, Mapping):  # `{{ env }}` once more, not yet as text
        nested = {name: value for name, value in nested.items() if name not in env}
    merged = {**env_of(nested, "environment"), **env}
    return {name: value for name, value in merged.items() if not name.startswith(RESERVED)} | dict(job.environment)


def _with_texts(given: dict[str, Any]) -> dict[str, Any]:
    if "cpu" in given:
        given["cpu"] = str(cpu_units(given["cpu"]))
    if "memory" in given:
        given["memory"] = str(memory_mib(given["memory"]))
    return given


def characters_of(overrides: Mapping[str, Any]) -> int:
    """As they are sent: botocore spells JSON with blanks, and what is not ASCII in six characters."""
    return len(json.dumps(overrides))


def _fitting(overrides: dict[str, Any], *, is_run: bool) -> dict[str, Any]:
    """Without the parameters if they would be too long: the runner fetches what it is not given.

    :raises TooLarge: they are too long all the same, or there is no runner.
    """
    most = MOST_CHARACTERS - TOKEN_CHARACTERS
    if characters_of(overrides) <= most:
        return overrides
    main = overrides["containerOverrides"][0]
    shorter = [each for each in main["environment"] if each["name"] != _PARAMETERS]
    if is_run and characters_of(fitting := with_environment(overrides, shorter)) <= most:
        return fitting
    size = characters_of(overrides)
    command, env = (len(json.dumps(main.get(key, []))) for key in ("command", "environment"))
    raise TooLarge(
        f"the overrides of the task have {size} characters, and ECS takes {most} besides the token: the command has "
        f"{command}, the environment {env}; shorten them, or put what is long into the image or into S3",
        path="env" if env > command else "command",
    )


def with_environment(overrides: Mapping[str, Any], pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """With another environment for the main container."""
    main, *others = overrides["containerOverrides"]
    return {**overrides, "containerOverrides": [{**main, "environment": pairs}, *others]}
