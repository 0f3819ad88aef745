"""What the manuals say of a container group besides its model, each rule with its page of learn.microsoft.com/azure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dispatcher.testing.servers.azure import schema
from dispatcher.testing.servers.azure.refusals import bad_name, invalid, no_location
from dispatcher.testing.servers.azure.theirs import Json

# container-instances/container-instances-container-groups, "Naming"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ENV_NAME = re.compile(r"[A-Za-z0-9_]{1,63}")
_TAG_NAME = re.compile(r"[^<>%&\\?/]{1,512}")  # azure-resource-manager/management/tag-resources, "Limitations"
_SECRETS = frozenset({"secureValue", "password", "workspaceKey", "storageAccountKey"})
MOST_CONTAINERS, MOST_CPU, MOST_MEMORY = 60, 31, 240  # …/container-instances-resource-and-quota-limits
MOST_TAGS = 50


def check_group(body: Json, name: str) -> None:
    """A request's group. :raises Refused:"""
    if not _NAME.fullmatch(name):
        raise bad_name(name)
    if not body.get("location"):
        raise no_location()
    schema.check("ContainerGroup", body)
    _check_tags(body.get("tags") or {})
    properties: Json = body["properties"]
    containers: list[Json] = properties["containers"]
    if not 1 <= len(containers) <= MOST_CONTAINERS:
        raise invalid("InvalidContainerCount", f"A container group has 1 to {MOST_CONTAINERS} containers.")
    names = [str(each["name"]) for each in containers]
    if len(set(names)) < len(names):
        raise invalid("DuplicateContainerNames", f"Container names must be unique: {', '.join(names)}.")
    for container in containers:
        _check_container(container)
    _check_size(containers)
    _check_spot(properties)
    for credential in properties.get("imageRegistryCredentials") or ():
        _check_credential(credential)


def _check_tags(tags: Json) -> None:
    if len(tags) > MOST_TAGS:
        raise invalid("InvalidTags", f"A resource has at most {MOST_TAGS} tags; these are {len(tags)}.")
    for name, value in tags.items():
        if not _TAG_NAME.fullmatch(name) or len(value) > 256:
            raise invalid("InvalidTagNameOrValue", f"The tag {name!r} is too long, or has one of <>%&\\?/ in its name.")


def _check_container(container: Json) -> None:
    if not _NAME.fullmatch(container["name"]):
        raise invalid("InvalidContainerName", f"Container name '{container['name']}' is invalid.")
    seen = set()
    for pair in container["properties"].get("environmentVariables") or ():
        name = pair["name"]
        if not _ENV_NAME.fullmatch(name) or name in seen:
            raise invalid("InvalidEnvironmentVariable", f"Environment variable '{name}' is invalid, or there twice.")
        if pair.get("value") is not None and pair.get("secureValue") is not None:
            raise invalid("InvalidEnvironmentVariable", f"Environment variable '{name}' has two values.")
        seen.add(name)


def _check_size(containers: list[Json]) -> None:
    cpu, memory = size(containers)
    smallest = min(min(each["cpu"], each["memoryInGB"]) for each in requests(containers))
    if smallest <= 0 or cpu > MOST_CPU or memory > MOST_MEMORY:
        raise invalid(
            "ResourceRequestsNotSupported",
            f"{cpu:g} CPU and {memory:g} GB are requested; a group has at most {MOST_CPU} and {MOST_MEMORY}.",
        )


def _check_spot(properties: Json) -> None:
    """…/container-instances-spot-containers-overview, "Unsupported features"."""
    if str(properties.get("priority")).lower() == "spot" and properties.get("subnetIds"):
        raise invalid("SpotPriorityNotSupported", "Spot container groups cannot be deployed in a virtual network.")


def _check_credential(credential: Json) -> None:
    if "://" in credential["server"]:
        raise invalid("InvalidImageRegistry", f"The server '{credential['server']}' has a protocol.")
    if bool(credential.get("identity")) == bool(credential.get("username") and credential.get("password")):
        raise invalid(
            "InvalidImageRegistryCredentialType",
            f"The credential of '{credential['server']}' has an identity, or a user name and a password.",
        )


def requests(containers: list[Json]) -> Iterator[Json]:
    return (each["properties"]["resources"]["requests"] for each in containers)


def size(containers: list[Json]) -> tuple[float, float]:
    """The group's CPUs and GB."""
    asked = list(requests(containers))
    return sum(each["cpu"] for each in asked), sum(each["memoryInGB"] for each in asked)


def gpus(containers: list[Json]) -> int:
    return sum(int((each.get("gpu") or {}).get("count", 0)) for each in requests(containers))


def linked(body: Json) -> Iterator[tuple[str, str]]:
    """Action and resource of whatever the group is given of others'."""
    for identity in (body.get("identity") or {}).get("userAssignedIdentities") or ():
        yield "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", identity
    for subnet in body["properties"].get("subnetIds") or ():
        yield "Microsoft.Network/virtualNetworks/subnets/join/action", subnet["id"]


def without_secrets(value: object) -> object:
    """As the service shows a resource."""
    if isinstance(value, dict):
        return {
            name: dict.fromkeys(each) if name == "secret" and isinstance(each, dict) else without_secrets(each)
            for name, each in value.items()
            if name not in _SECRETS
        }
    return [without_secrets(each) for each in value] if isinstance(value, list) else value
