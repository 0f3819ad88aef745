"""One resource group, as a person with Azure's own client has it."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from dispatcher.testing.servers.azure.serving import AzureApi
from dispatcher.testing.servers.azure.theirs import Json
from dispatcher.testing.servers.ecs_cluster import eventually


class ResourceGroup:
    """Every call is made once, and nothing is waited for unless it says so."""

    def __init__(self, api: AzureApi) -> None:
        self.api, self.client, self.name = api, api.client(), api.resource_group
        self.groups, self.containers = self.client.container_groups, self.client.containers

    def close(self) -> None:
        self.client.close()

    def body(self, *command: str, container: Json | None = None, location: str = "", **properties: Any) -> Json:
        """A container group as JSON, with one container `run`."""
        spec: Json = {
            "image": self.api.image, "command": list(command) or ["true"],
            "resources": {"requests": {"cpu": 1, "memoryInGB": 1.5}}, **(container or {}),
        }  # fmt: skip
        whole = {"osType": "Linux", "restartPolicy": "Never", "containers": [{"name": "run", "properties": spec}]}
        return {"location": location or self.api.region, "properties": {**whole, **properties}}

    def put(self, body: Json, name: str = "") -> str:
        """Its name."""
        name = name or f"g-{uuid4().hex[:8]}"
        content, kind = json.dumps(body).encode(), "application/json"  # as it is: a model would leave out what it lacks
        self.groups.begin_create_or_update(self.name, name, content, content_type=kind, polling=False)
        return name

    def start(self, *command: str, **members: Any) -> str:
        return self.put(self.body(*command, **members))

    def get(self, name: str) -> Any:
        return self.groups.get(self.name, name)

    def until(self, name: str, *states: str) -> Any:
        """The group in one of these states, as its instance view has them."""
        return eventually(lambda: found if (found := self.get(name)).instance_view.state in states else None)

    def ended(self, name: str) -> Any:
        return self.until(name, "Succeeded", "Failed", "Stopped")

    def log(self, name: str, **how: Any) -> str:
        return str(self.containers.list_logs(self.name, name, "run", **how).content)

    def started(self, name: str) -> int:
        """How many containers were really started for it."""
        return [group for group, _ in self.api.subscription.started].count(name)

    def delete(self, name: str) -> None:
        """It is gone when this returns."""
        self.groups.begin_delete(self.name, name).wait()


def current(group: Any) -> Any:
    """What is told of its first container now."""
    return group.containers[0].instance_view.current_state


def refused(error: Any) -> tuple[int, str]:
    """Status and code of an HttpResponseError."""
    return error.status_code, error.error.code


def retry_after(error: Any) -> int:
    """Seconds."""
    return int(error.response.headers["Retry-After"])
