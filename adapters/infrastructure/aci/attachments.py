"""What a container group is given of others': identities, a registry's credentials, subnets, a log workspace. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.commands import is_mark
from adapters.infrastructure.aci.arm import PATH
from dispatcher.errors import InvalidInput

SYSTEM = "SystemAssigned"
_IDENTITY = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+",
    re.IGNORECASE,
)
_SUBNET = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"^[a-z]+://", re.IGNORECASE)
_LOGIN = "give the server alone, and the user name and password as `username` and `image_registry_password`"
_X_SECRET = "give a variable that is marked x-secret: it names a secret of this installation"  # noqa: S105 - an advice

Json = dict[str, Any]


def attach(group: Json, configuration: Mapping[str, Any]) -> None:
    """Put them into the resource, beside what its template has. :raises InvalidInput:"""
    properties = group["properties"]
    _refuse_logins(properties, configuration.get("image_registry"))
    credentials = [*_list(properties.get("imageRegistryCredentials"), f"{PATH}.properties.imageRegistryCredentials")]
    if (registry := _registry(configuration)) is not None:
        credentials = [registry, *(each for each in credentials if each.get("server") != registry["server"])]
    if credentials:
        properties["imageRegistryCredentials"] = credentials
    of_registries = [each["identity"] for each in credentials if each.get("identity")]
    _identify(group, configuration.get("identities"), of_registries)
    if subnets := _strings(configuration.get("subnet_ids"), "subnet_ids"):
        properties["subnetIds"] = [{"id": _checked(each, _SUBNET, "subnet_ids", "subnet")} for each in subnets]
    if servers := _strings(configuration.get("dns_servers"), "dns_servers"):
        properties["dnsConfig"] = {**properties.get("dnsConfig", {}), "nameServers": servers}
    if logs := _log_analytics(configuration.get("log_analytics")):
        properties["diagnostics"] = {"logAnalytics": logs}
    _refuse_clear(properties)


def _identify(group: Json, identities: object, of_registries: list[str]) -> None:
    """A registry's identity has to be the group's as well (API ImageRegistryCredential, `identity`)."""
    nested = group.get("identity") or {}
    if not isinstance(nested, Mapping):
        raise InvalidInput(f"{PATH}.identity is {nested!r}: write an object", path=f"{PATH}.identity")
    named = _strings(identities, "identities")
    has_system = SYSTEM.lower() in [str(nested.get("type") or "").split(",")[0].lower(), *map(str.lower, named)]
    named = [each for each in named if each.lower() != SYSTEM.lower()]
    users = {**(nested.get("userAssignedIdentities") or {})}
    for each in [*named, *of_registries]:
        users.setdefault(_checked(each, _IDENTITY, "identities", "user-assigned identity"), {})
    kinds = [kind for kind, wanted in ((SYSTEM, has_system), ("UserAssigned", bool(users))) if wanted]
    group.pop("identity", None)
    if kinds:
        group["identity"] = {"type": ", ".join(kinds), **({"userAssignedIdentities": users} if users else {})}


def _registry(configuration: Mapping[str, Any]) -> Json | None:
    """By identity or by password, as Prefect's blocks ACRManagedIdentity and DockerRegistry have it."""
    given, path = configuration.get("image_registry"), "image_registry"
    if not given:
        return None
    if not isinstance(given, Mapping) or not isinstance(given.get("registry_url"), str):
        raise InvalidInput(f"{path}: write registry_url, and identity or username", path=path)
    server = _SCHEME.sub("", given["registry_url"]).split("/")[0]  # "without a protocol" (API, `server`)
    if identity := given.get("identity"):
        return {"server": server, "identity": identity}
    password = configuration.get("image_registry_password") or given.get("password")
    if not given.get("username") or not password:
        raise InvalidInput(
            f"{path} has neither an identity nor a user name with its password; give one, the password in the variable "
            "`image_registry_password`",
            path=path,
        )
    return {"server": server, "username": given["username"], "password": password}


def _log_analytics(given: object) -> Json:
    path = "log_analytics"
    if not isinstance(given or {}, Mapping):
        raise InvalidInput(f"{path}: write workspaceId and workspaceKey", path=path)
    found = {key: value for key, value in dict(given or {}).items() if value} if isinstance(given, Mapping) else {}
    if found and not {"workspaceId", "workspaceKey"} <= found.keys():
        raise InvalidInput(f"{path} has {', '.join(found)}: it takes a workspace's id and its key", path=path)
    return found


def _refuse_clear(properties: Json) -> None:
    """What Azure keeps as a secret would be kept in the clear by us."""
    diagnostics = properties.get("diagnostics") or {}
    logs = diagnostics.get("logAnalytics") if isinstance(diagnostics, Mapping) else None
    places = [("log_analytics.workspaceKey", (logs or {}).get("workspaceKey"))]
    places += [("image_registry.password", each.get("password")) for each in _credentials(properties)]
    for number, volume in enumerate(_list(properties.get("volumes"), f"{PATH}.properties.volumes")):
        path = f"{PATH}.properties.volumes[{number}]"
        share, secret = volume.get("azureFile") or {}, volume.get("secret") or {}
        places.append((f"{path}.azureFile.storageAccountKey", share.get("storageAccountKey")))
        places += [(f"{path}.secret.{name}", value) for name, value in secret.items()]
    places += _protected(properties)
    for path, value in places:
        if value is not None and not is_mark(value):
            raise InvalidInput(f"{path} is in the clear; {_X_SECRET}", path=path)


def _protected(properties: Json) -> Iterator[tuple[str, object]]:
    for number, extension in enumerate(_list(properties.get("extensions"), f"{PATH}.properties.extensions")):
        told = extension.get("properties")
        settings = told.get("protectedSettings") if isinstance(told, Mapping) else None
        yield from _leaves(settings, f"{PATH}.properties.extensions[{number}].properties.protectedSettings")


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and not is_mark(value):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{path}[{number}]")
    else:
        yield path, value


def _refuse_logins(properties: Json, registry: object) -> None:
    """A registry's server with a login in front of it, which is not shown."""
    given = registry.get("registry_url") if isinstance(registry, Mapping) else None
    places = [("image_registry.registry_url", given)]
    for number, each in enumerate(_credentials(properties)):
        places.append((f"{PATH}.properties.imageRegistryCredentials[{number}].server", each.get("server")))
    for path, server in places:
        if "@" in str(server):
            raise InvalidInput(f"{path} has a login in the clear; {_LOGIN}", path=path)


def _credentials(properties: Json) -> list[Json]:
    return _list(properties.get("imageRegistryCredentials"), f"{PATH}.properties.imageRegistryCredentials")


def _list(given: object, path: str) -> list[Json]:
    found = given or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidInput(f"{path} is no list of objects; write one", path=path)
    return found


def _strings(given: object, path: str) -> list[str]:
    found = given or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InvalidInput(f"{path} is {given!r}: write a list of strings", path=path)
    return found


def _checked(value: object, pattern: re.Pattern[str], path: str, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidInput(
            f"{path} has {value!r}: write the {what}'s resource id, as in /subscriptions/…/providers/…", path=path
        )
    return value
