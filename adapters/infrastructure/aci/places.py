"""Where container groups run and what they are called there: subscriptions, regions, names, handles and links. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from adapters.names import submission_name
from dispatcher.errors import InvalidInput
from dispatcher.runs import Target

TYPE = "azure-container-instance:push"
PROVIDER = "Microsoft.ContainerInstance"
CONTAINER = "run"
KEPT = "/kept"  # ends a target's group, for container groups that are not cleaned up

_GROUP = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<resource_group>[^/]+)"
    r"/providers/Microsoft\.ContainerInstance/containerGroups/(?P<name>[^/]+)",
    re.IGNORECASE,
)
_OURS = re.compile(r"pushpool-[0-9a-f]{32}-\d+-\d+")
_REGION = re.compile(r"[a-z]{4,}[a-z0-9]*")
_RESOURCE_GROUP = re.compile(r"[\w.()-]{1,90}(?<!\.)")
_EXAMPLES = "westeurope, northeurope, eastus2"


@dataclass(frozen=True, slots=True)
class Group:
    """A container group's full id in parts."""

    subscription: str
    resource_group: str
    name: str

    @property
    def handle(self) -> str:
        return f"{scope(self.subscription, self.resource_group)}/providers/{PROVIDER}/containerGroups/{self.name}"

    @property
    def is_ours(self) -> bool:
        """Whether it is named for a submission: nothing else is ever stopped or deleted."""
        return _OURS.fullmatch(self.name) is not None


def group_of(handle: str) -> Group | None:
    """None: it is no container group of ours."""
    found = _GROUP.fullmatch(handle)
    named = Group(found["subscription"], found["resource_group"], found["name"]) if found else None
    return named if named is not None and named.is_ours else None


def named_group(target: Target, run_id: str, attempt: int, submit_seq: int) -> Group:
    return Group(target.account, resource_group(target), group_name(run_id, attempt, submit_seq))


def group_name(run_id: str, attempt: int, submit_seq: int) -> str:
    """Of one submission, at most 63 characters; so the same name is never asked for in two regions."""
    return submission_name(run_id, attempt, submit_seq)


def resource_group(target: Target) -> str:
    return target.group.removesuffix(KEPT)


def is_kept(target: Target) -> bool:
    return target.group.endswith(KEPT)


def scope(subscription: str, resource_group: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{resource_group}"


def target_of(configuration: Mapping[str, Any], *, subscription: str, regions: Sequence[str], turn: int) -> Target:
    """Where this try goes: `turn` counts the places that it was refused at. :raises InvalidInput:"""
    group = _checked_resource_group(configuration.get("resource_group_name"))
    account = _checked_subscription(configuration.get("subscription_id") or subscription)
    kept = KEPT if configuration.get("keep_container_group") else ""
    return Target(TYPE, account=account, region=regions[turn % len(regions)], group=group + kept)


def regions_of(configuration: Mapping[str, Any], default: str) -> list[str]:
    """The region and then the others, each once; "" is the resource group's own. :raises InvalidInput:"""
    others = configuration.get("other_regions") or []
    if not isinstance(others, list):
        raise InvalidInput(f"other_regions is {others!r}: write a list of regions", path="other_regions")
    first = _checked_region(configuration.get("region") or default, "region")
    rest = [_checked_region(other, f"other_regions[{number}]") for number, other in enumerate(others)]
    return list(dict.fromkeys([first, *rest]))


def _checked_region(region: object, path: str) -> str:
    """`westeurope` for `West Europe` too, as Azure takes both."""
    found = str(region).replace(" ", "").lower()
    if found and not _REGION.fullmatch(found):
        raise InvalidInput(
            f"{path} is {region!r}, which is no region of Azure; write {_EXAMPLES} or another", path=path
        )
    return found


def _checked_resource_group(name: object) -> str:
    path = "resource_group_name"
    if not name:
        raise InvalidInput(f"{path} is not given; set the variable: runs are container groups in it", path=path)
    if not isinstance(name, str) or not _RESOURCE_GROUP.fullmatch(name):
        raise InvalidInput(
            f"{path} is {name!r}, and a resource group's name has at most 90 letters, digits, `-`, `_`, `.`, `(` and "
            "`)`, and no `.` at its end; write the name of one that is there",
            path=path,
        )
    return name


def _checked_subscription(subscription: object) -> str:
    path = "subscription_id"
    if not subscription:
        way_out = "set the variable `subscription_id`, or AZURE_SUBSCRIPTION_ID for the dispatcher"
        raise InvalidInput(f"{path} is not given, and the dispatcher has none of its own; {way_out}", path=path)
    try:
        return str(UUID(str(subscription)))
    except ValueError:
        raise InvalidInput(
            f"{path} is {subscription!r}: write its id, as in 00000000-0000-0000-0000-000000000000", path=path
        ) from None


def links(handle: str, tenant: str) -> dict[str, str]:
    """Where the portal shows it and its output; none for what is no container group of ours."""
    if (group := group_of(handle)) is None:
        return {}
    whose = f"@{tenant}/" if tenant else ""
    where = f"https://portal.azure.com/#{whose}resource{group.handle}"
    return {"console": f"{where}/overview", "logs": f"{where}/containers"}
