"""A container group and an operation as JSON of the REST API."""

from __future__ import annotations

import copy

from dispatcher.testing.servers.azure import rules
from dispatcher.testing.servers.azure.life import Group
from dispatcher.testing.servers.azure.refusals import KIND
from dispatcher.testing.servers.azure.theirs import Json

# of a container's log: while it runs, and after its end
# (container-instances/container-instances-resource-and-quota-limits)
LOG_BYTES, ENDED_LOG_BYTES, ENDED_LOG_LINES = 4 * 2**20, 16 * 2**10, 1000


def shown(group: Group, *, in_full: bool = False) -> Json:
    """Without secrets, and with the instance view only if it is asked for by itself."""
    given = copy.deepcopy(group.body)
    properties = given["properties"]
    properties.setdefault("sku", "Standard")
    properties.setdefault("initContainers", [])
    properties["provisioningState"] = group.provisioning
    for container, view in zip(properties["containers"], group.views, strict=True):
        container["properties"].setdefault("ports", [])
        if in_full:
            container["properties"]["instanceView"] = copy.deepcopy(view.instance)
    if in_full:
        properties["instanceView"] = {"events": copy.deepcopy(group.events), "state": group.state}
    own = {"id": group.id, "name": group.name, "type": KIND, "location": group.region}
    return {**bare({**given, "properties": properties}), **own}


def bare(given: Json) -> Json:
    found = rules.without_secrets(given)
    assert isinstance(found, dict)
    return found


def operation(name: str, group: Group, *, is_gone: bool, began: str) -> Json:
    """What an Azure-AsyncOperation URL answers."""
    status = "Succeeded" if is_gone or group.provisioning == "Succeeded" else group.provisioning
    found: Json = {"id": name, "status": status, "startTime": began, "properties": {"events": group.events}}
    if status == "Failed":
        message = group.events[-1]["message"] if group.events else "The resource operation failed."
        found["error"] = {"code": "Failed", "message": message}
    return found


def log_of(text: str, *, has_ended: bool, tail: int | None) -> str:
    """The end of it, as much as is kept."""
    lines = text.splitlines(keepends=True)
    if has_ended:
        lines = lines[-ENDED_LOG_LINES:]
    if tail is not None:
        lines = lines[-tail:]
    kept = "".join(lines).encode()[-(ENDED_LOG_BYTES if has_ended else LOG_BYTES) :]
    return kept.decode(errors="ignore")
