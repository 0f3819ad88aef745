"""Clients of Azure's for this adapter, made when they are first needed: whoever looks at a request makes none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from threading import Lock
from typing import Any

from adapters import azure
from adapters.infrastructure.aci import places
from adapters.infrastructure.aci.places import Group

LIBRARY = "azure.mgmt.containerinstance"
CONNECT_SECONDS = 3.0

Json = dict[str, Any]


def models() -> Any:
    """The library's models of the API, 2023-05-01. Their import takes a while."""
    return import_module(f"{LIBRARY}.models")


class Clients:
    """One client a subscription. Every method is one request, and raises what is in `azure.ERRORS`.

    `seconds`: how long an answer is waited for, after a connection was had.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._resources: Any = None
        self._lock = Lock()

    def get(self, group: Group, *, seconds: float) -> Json:
        groups = self._of(group.subscription).container_groups
        found: Json = groups.get(group.resource_group, group.name, cls=_json, **_waiting(seconds))
        return found

    def put(self, group: Group, body: Mapping[str, Any], *, seconds: float) -> None:
        """Create it; answered before it runs. One that is there is changed, and may start again."""
        content = json.dumps(body).encode()
        self._of(group.subscription).container_groups.begin_create_or_update(
            group.resource_group,
            group.name,
            content,
            content_type="application/json",
            polling=False,
            **_waiting(seconds),
        )

    def delete(self, group: Group, *, seconds: float) -> None:
        """Answered before it is gone; one that is not there is no error."""
        groups = self._of(group.subscription).container_groups
        groups.begin_delete(group.resource_group, group.name, polling=False, **_waiting(seconds))

    def stop(self, group: Group, *, seconds: float) -> None:
        self._of(group.subscription).container_groups.stop(group.resource_group, group.name, **_waiting(seconds))

    def log(self, group: Group, container: str, *, lines: int | None, seconds: float) -> str:
        containers = self._of(group.subscription).containers
        found = containers.list_logs(group.resource_group, group.name, container, tail=lines, **_waiting(seconds))
        return str(found.content or "")

    def usages(self, subscription: str, region: str, *, seconds: float) -> list[Json]:
        found = self._of(subscription).location.list_usage(region, **_waiting(seconds))
        return [each.serialize(keep_readonly=True) for each in found]

    def capabilities(self, subscription: str, region: str, *, seconds: float) -> list[Json]:
        found = self._of(subscription).location.list_capabilities(region, **_waiting(seconds))
        return [each.serialize(keep_readonly=True) for each in found]

    def look(self, path: str, version: str, *, seconds: float) -> Json:
        """A resource that the library does not know, by its path and the version of its API."""
        rest = import_module("azure.core.rest")
        with self._lock:
            self._resources = self._resources or azure.resources()
        request = rest.HttpRequest("GET", f"{azure.base_url()}{path}", params={"api-version": version})
        answer = self._resources.send_request(request, **_waiting(seconds))
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def region_of(self, subscription: str, resource_group: str, *, seconds: float) -> str:
        """A resource group's own."""
        found = self.look(places.scope(subscription, resource_group), "2021-04-01", seconds=seconds)
        return str(found["location"])

    def _of(self, subscription: str) -> Any:
        """:raises Misconfigured: no credentials."""
        with self._lock:
            if subscription not in self._made:
                kind = import_module(LIBRARY).ContainerInstanceManagementClient
                self._made[subscription] = azure.client(kind, subscription)
            return self._made[subscription]

    def close(self) -> None:
        with self._lock:
            for made in (*self._made.values(), *((self._resources,) if self._resources else ())):
                made.close()
            self._made.clear()
            self._resources = None


def _waiting(seconds: float) -> dict[str, float]:
    return {"connection_timeout": CONNECT_SECONDS, "read_timeout": max(0.1, seconds)}


def _json(response: Any, model: object, headers: object) -> Json:
    """The answer as it came: what its model leaves out is there too."""
    del model, headers
    policies = import_module("azure.core.pipeline.policies")
    found: Json = response.context[policies.ContentDecodePolicy.CONTEXT_NAME]
    return found
