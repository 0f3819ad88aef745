"""Containers in the form that ECS takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.errors import InvalidInput

DEFAULT_NAME = "run"
_MAIN_NAMES = (DEFAULT_NAME, "prefect")  # the main one among several, if nobody says


def pairs_of(env: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As ECS takes it: without what is None, in one order whatever order it came in."""
    return [{"name": name, "value": value} for name, value in sorted(env.items()) if value is not None]


def main_name(wanted: object, containers: Sequence[Mapping[str, Any]]) -> str:
    """The name of the container that the run is: as wanted, or as the task definition has it.

    :raises InvalidInput: it has none of that name.
    """
    names = [str(each["name"]) for each in containers if each.get("name")]
    if not wanted:
        return next((name for name in _MAIN_NAMES if name in names), names[0] if names else DEFAULT_NAME)
    name = str(wanted)
    if name not in names and len(names) == len(containers) > 0:
        raise InvalidInput(
            f"container_name is {name!r}, and the task definition has {', '.join(names)}; name one of these",
            path="container_name",
        )
    return name


def container_in(containers: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one of that name; else the first without a name, or a new one, which gets it."""
    for each in containers:
        if each.get("name") == name:
            return each
    for each in containers:
        if not each.get("name"):
            each["name"] = name
            return each
    containers.append({"name": name})
    return containers[-1]


def with_numbers(container: dict[str, Any]) -> dict[str, Any]:
    """Its cpu and memory are numbers, where a task's are texts (API ContainerOverride, TaskOverride)."""
    for key in ("cpu", "memory", "memoryReservation"):
        if isinstance(container.get(key), str) and container[key].isdecimal():
            container[key] = int(container[key])
    return container
