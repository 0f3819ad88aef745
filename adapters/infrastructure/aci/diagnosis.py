"""Whether a pool's credentials, resource group, permissions, regions and quotas let runs start; starts nothing.

What may be done is asked of the resource group's permissions, since Azure checks a request only by doing it. What a
role on one resource group may not ask of the subscription is said to be not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from adapters import azure
from adapters.doctor import stand_in, with_image
from adapters.failures import Failure, Trouble
from adapters.infrastructure.aci import outcomes, places
from adapters.infrastructure.aci.arm import KIND
from adapters.infrastructure.aci.clients import Clients
from adapters.infrastructure.aci.places import PROVIDER, Group
from dispatcher.errors import InvalidInput, Misconfigured
from dispatcher.ports import Job, NotNow, PoolUnavailable, Rejected, Request, Unknown

Check: TypeAlias = tuple[str, bool, str]
Json: TypeAlias = Mapping[str, Any]

PLACE = "resource group"
ANY_IMAGE = "mcr.microsoft.com/azuredocs/aci-helloworld:latest"  # Microsoft's own sample
NOBODY = places.group_name("doctor", 1, 1)
CALL_SECONDS = 10.0
UNCHECKED = "not checked"
UNREACHED = (
    "see that this machine reaches management.azure.com and login.microsoftonline.com (network, proxy), or what "
    "PUSHPOOL_AZURE_EMULATOR names if that is set, and try again"
)
ACTIONS = {
    "starting runs": f"{KIND}/write",
    "looking at runs": f"{KIND}/read",
    "stopping runs": f"{KIND}/stop/action",
    "cleaning up": f"{KIND}/delete",
    "reading logs": f"{KIND}/containers/logs/read",
}


def checks(configuration: Json, request: Callable[[Job], Request], clients: Clients) -> list[Check]:
    """One after the other, as far as what was found allows."""
    job = stand_in(with_image(configuration, ANY_IMAGE))
    try:
        made = [request(job)]
        while (another := request(replace(job, refusals=len(made)))).target != made[0].target:
            made.append(another)
    except InvalidInput as error:
        return [("configuration", False, str(error))]
    found: list[Check] = [("configuration", True, "")]
    try:
        azure.credentials()
    except Misconfigured as error:
        return [*found, ("credentials", False, str(error))]
    found.append(("credentials", True, azure.principal()))
    return [*found, *_Doctor(made, clients).checks()]


class _Doctor:
    """The checks that need credentials."""

    def __init__(self, requests: Sequence[Request], clients: Clients) -> None:
        self._clients, target = clients, requests[0].target
        self._subscription, self._resource_group = target.account, places.resource_group(target)
        self._regions = [request.target.region for request in requests]
        self._group: Json = requests[0].body["containerGroup"]

    def checks(self) -> Iterator[Check]:
        passed, home = _looked(PLACE, self._home, has_to_answer=True)
        yield PLACE, passed, home
        if not passed or home.startswith(UNCHECKED):
            return  # the others would say the same
        yield "resource provider", *_looked("GET provider", self._registered, may_be_denied=True)
        yield "reaching container groups", *_looked("GET", self._nobody, has_to_answer=True)
        yield from self._permissions()
        for region in [each or home for each in self._regions]:
            yield f"capabilities of {region}", *_looked("GET capabilities", self._offer(region), may_be_denied=True)
            yield f"quota in {region}", *_looked("GET usages", self._room(region), may_be_denied=True)

    def _home(self) -> str:
        return self._clients.region_of(self._subscription, self._resource_group, seconds=CALL_SECONDS)

    def _nobody(self) -> None:
        self._clients.get(Group(self._subscription, self._resource_group, NOBODY), seconds=CALL_SECONDS)

    def _registered(self) -> str:
        path = f"/subscriptions/{self._subscription}/providers/{PROVIDER}"
        state = self._clients.look(path, "2021-04-01", seconds=CALL_SECONDS).get("registrationState")
        if state != "Registered":
            raise _Finding(f"{PROVIDER} is {state}: az provider register --namespace {PROVIDER}")
        return ""

    def _permissions(self) -> Iterator[Check]:
        path = f"{places.scope(self._subscription, self._resource_group)}/providers/Microsoft.Authorization/permissions"
        granted: list[Json] = []

        def look() -> str:
            found = self._clients.look(path, "2022-04-01", seconds=CALL_SECONDS)
            granted.extend(each for each in found.get("value") or () if isinstance(each, Mapping))
            return ""

        passed, words = _looked("GET permissions", look, may_be_denied=True)
        if not passed or words:
            yield "permissions", passed, words
            return
        whom = azure.principal() or "the dispatcher's identity"
        for what, action in ACTIONS.items():
            may = is_allowed(granted, action)
            yield what, may, "" if may else f"allow {whom} {action} on the resource group {self._resource_group}"

    def _offer(self, region: str) -> Callable[[], str]:
        """Whether a group of that size can be made there at all."""
        asked = [each["properties"]["resources"]["requests"] for each in self._group["properties"]["containers"]]
        cpu, memory = (sum(each.get(key, 0) for each in asked) for key in ("cpu", "memoryInGB"))
        system = str(self._group["properties"]["osType"]).lower()

        def look() -> str:
            offered = self._clients.capabilities(self._subscription, region, seconds=CALL_SECONDS)
            sizes = [each.get("capabilities") or {} for each in offered if _is_plain(each, system)]
            cpus = max((float(each.get("maxCpu") or 0) for each in sizes), default=0.0)
            gigabytes = max((float(each.get("maxMemoryInGB") or 0) for each in sizes), default=0.0)
            if cpu <= cpus and memory <= gigabytes:
                return f"up to {cpus:g} vCPU and {gigabytes:g} GB"
            raise _Finding(
                f"{cpu:g} vCPU and {memory:g} GB are asked for, and {region} offers {cpus:g} and {gigabytes:g}: ask "
                "for less, or set `region` and `other_regions` to others"
            )

        return look

    def _room(self, region: str) -> Callable[[], str]:
        """How many groups and cores are left, as far as Azure tells."""

        def look() -> str:
            used = []
            for each in self._clients.usages(self._subscription, region, seconds=CALL_SECONDS):
                name = str((each.get("name") or {}).get("value") or "")
                if name in ("ContainerGroups", "StandardCores"):
                    used.append(f"{each.get('currentValue')} of {each.get('limit')} {name}")
                    if int(each.get("currentValue") or 0) >= int(each.get("limit") or 0):
                        raise _Finding(f"{used[-1]} are in use: delete some, or ask Azure for a higher quota")
            return ", ".join(used)

        return look


class _Finding(Exception):
    """Something is there, and not as it has to be."""


def is_allowed(granted: Sequence[Json], action: str) -> bool:
    """Whether one role allows it: an action of it matches and none of its exceptions does."""
    return any(
        _matches(each.get("actions"), action) and not _matches(each.get("notActions"), action) for each in granted
    )


def _matches(patterns: object, action: str) -> bool:
    """`*` stands for anything, as in Microsoft.ContainerInstance/*/read."""
    known = patterns if isinstance(patterns, list) else []
    return any(
        re.fullmatch(re.escape(str(each)).replace(r"\*", ".*"), action, re.IGNORECASE) is not None for each in known
    )


def _is_plain(offered: Json, system: str) -> bool:
    is_container_groups = str(offered.get("resourceType") or "containerGroups").lower() == "containergroups"
    return is_container_groups and str(offered.get("osType") or "").lower() in ("", system)


def _looked(
    call: str, look: Callable[[], object], *, may_be_denied: bool = False, has_to_answer: bool = False
) -> tuple[bool, str]:
    """That what does not exist is not found is as it should be."""
    try:
        return True, str(look() or "")
    except _Finding as finding:
        return False, str(finding)
    except Misconfigured as error:
        return False, str(error)
    except azure.ERRORS as error:
        failure = azure.failure(error)
        if outcomes.is_absent(failure):
            return True, ""
        if may_be_denied and failure.trouble is Trouble.DENIED:
            return True, f"{UNCHECKED}: {failure}"
        return _advised(call, failure, has_to_answer=has_to_answer)


def _advised(call: str, failure: Failure, *, has_to_answer: bool) -> tuple[bool, str]:
    if has_to_answer and failure.trouble in (Trouble.NOT_SENT, Trouble.NO_ANSWER):
        return False, f"{call} did not reach Azure: {failure}; {UNREACHED}"
    match outcomes.of_failure(failure, call, now=datetime.now(UTC), principal=azure.principal()):
        case PoolUnavailable(reason, _):
            return False, reason
        case Rejected(message):
            return False, f"{message}; change the pool's template or variables"
        case NotNow(message, _) | Unknown(message):
            return True, f"{UNCHECKED}: {message}"
        case _:
            return True, f"{UNCHECKED}: {failure}"
