"""One subscription's resource groups and container groups, and what each call of the API does to them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from uuid import uuid4

from dispatcher.testing.servers.azure import faults, limits, refusals, regions, resources, rules
from dispatcher.testing.servers.azure.containers import event
from dispatcher.testing.servers.azure.faults import Fault
from dispatcher.testing.servers.azure.life import Ground, Group, region_of
from dispatcher.testing.servers.azure.refusals import KIND, Refused
from dispatcher.testing.servers.azure.theirs import TOKEN, Json
from dispatcher.testing.servers.cloud_run.containers import shims
from dispatcher.testing.servers.cloud_run.faults import Hold

ID = "11111111-2222-3333-4444-555555555555"
SPOT_CPU, SPOT_MEMORY = 4, 16  # container-instances/container-instances-resource-and-quota-limits


@dataclass(frozen=True, slots=True)
class Manner:
    """How the service behaves from now on. Quotas and rates are for each region."""

    most_groups: int = 100
    most_cores: int = 100
    rates: tuple[limits.Limit, ...] = limits.PUBLISHED  # of creates, and of deletes
    without_capacity: frozenset[str] = frozenset()  # regions that have none at this moment
    sizes: dict[str, regions.Size] = field(default_factory=dict)
    grace_seconds: float = 10.0
    deletion_looks: int = 0  # how often one that is deleted is still seen, its containers gone
    is_registered: bool = True
    actions: tuple[str, ...] = ("*",)  # what the caller may do
    not_actions: tuple[str, ...] = ()
    linked: tuple[str, ...] | None = None  # ids of identities and subnets that it may give away; None: of all


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    group: Group
    began: str


@dataclass(slots=True)
class Subscription:
    """`images`: those there are, and their entry points. `accepts`: whether that is a bearer token of the caller."""

    folder: Path
    id: str = ID
    resource_groups: dict[str, str] = field(default_factory=lambda: {"pushpool": "westeurope"})
    images: dict[str, list[str]] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    accepts: Callable[[str], bool] = TOKEN.__eq__
    manner: Manner = field(default_factory=Manner)
    ordered: faults.Faults = field(default_factory=faults.Faults)
    holds: dict[str, Hold] = field(default_factory=dict)  # by the call's name
    requests: list[tuple[str, Json]] = field(default_factory=list)  # each CreateOrUpdate: its group's name, its body
    calls: Counter[str] = field(default_factory=Counter)  # how often each was made, the refused ones too
    refused: Counter[str] = field(default_factory=Counter)  # how often each code was the answer
    started: list[tuple[str, dict[str, str]]] = field(
        default_factory=list
    )  # each container: whose, and what it was told
    groups: dict[str, Group] = field(default_factory=dict)  # by id, lower case
    operations: dict[str, Operation] = field(default_factory=dict)
    changing: threading.RLock = field(default_factory=threading.RLock)
    creating: threading.Event = field(default_factory=threading.Event)  # not set: what is created stays so
    creates_when_seen: bool = False  # until a group was looked at
    names: dict[str, str] = field(default_factory=dict)  # each name that ever was, and its region
    _counted: dict[tuple[str, str], limits.Counted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.creating.set()
        shims(self.folder / "bin")

    # container groups

    def put(self, group: str, body: Json) -> tuple[int, Json, Operation]:
        """CreateOrUpdate: 201 with a group that is new, or 200. `group`: its id. :raises Refused:"""
        name = group.rpartition("/")[2]
        with self.changing:
            self.requests.append((name, body))
        region = region_of(body) if body.get("location") else self.resource_groups[_resource_group(group).lower()]
        fault = self._called("CreateOrUpdate", f"{KIND}/write", group, region)
        self._check(group, body)
        with self.changing:
            known = self.groups.get(group.lower())
            self._check_place(known, name, group, region)
            if known is not None and known.is_transitioning:
                raise refusals.transitioning(name)
            self._count("create", region)
            # "Modify at least one valid property of the group … to trigger the redeployment" (…-update)
            if known is None or known.body != body or known.state != "Running":
                self._check_quotas(region, body, known)
                made = known or Group(group, body, self._ground(), partial(self._remove, group))
                self.groups[group.lower()], self.names[name] = made, region
                self._begin(made, body, fault)
            answer = resources.shown(self.groups[group.lower()])
            operation = self._operation(self.groups[group.lower()])
        self._replied("CreateOrUpdate", fault)
        return 200 if known is not None else 201, answer, operation

    def get(self, group: str) -> Json:
        """:raises Refused:"""
        fault = self._called("Get", f"{KIND}/read", group)
        with self.changing:
            known = self._known(group)
            found = resources.shown(known, in_full=True)
            known.looked()
            if self.creates_when_seen:
                self.creating.set()
        self._replied("Get", fault)
        return found

    def listed(self, resource_group: str = "") -> list[Json]:
        """Of a resource group, or all. :raises Refused:"""
        place = f"/subscriptions/{self.id}" + (f"/resourceGroups/{resource_group}" if resource_group else "")
        self._called("List", f"{KIND}/read", place)
        with self.changing:
            return [resources.shown(each) for id_, each in self.groups.items() if id_.startswith(f"{place}/".lower())]

    def tag(self, group: str, body: Json) -> Json:
        """Update: only tags can be. :raises Refused:"""
        self._called("Update", f"{KIND}/write", group)
        with self.changing:
            known = self._known(group)
            known.body = {**known.body, "tags": dict(body.get("tags") or {})}
            return resources.shown(known)

    def delete(self, group: str) -> tuple[int, Json | None, Operation | None]:
        """Delete: 200 when it is gone, 202 while its containers end, 204 if there was none. :raises Refused:"""
        region = self.groups[group.lower()].region if group.lower() in self.groups else ""
        fault = self._called("Delete", f"{KIND}/delete", group, region)
        with self.changing:
            known = self.groups.get(group.lower())
            if known is None:
                return 204, None, None
            self._count("delete", known.region)
            if known.provisioning != "Deleting":
                known.delete()
            is_gone = group.lower() not in self.groups
            answer, operation = resources.shown(known), self._operation(known)
        self._replied("Delete", fault)
        return (200, answer, None) if is_gone else (202, None, operation)

    def stop(self, group: str) -> None:
        """:raises Refused:"""
        self._act("Stop", "stop", group, lambda known: known.stop())

    def start(self, group: str) -> None:
        """:raises Refused:"""
        self._act("Start", "start", group, lambda known: known.deploy() if known.state != "Running" else None)

    def restart(self, group: str) -> None:
        """Its containers are started again. :raises Refused:"""
        self._act("Restart", "restart", group, lambda known: known.deploy())

    def log(self, group: str, container: str, tail: int | None) -> str:
        """:raises Refused:"""
        fault = self._called("ListLogs", f"{KIND}/containers/logs/read", group)
        with self.changing:
            known = self._known(group)
            view = next((each for each in known.views if each.name == container), None)
            if view is None:
                raise refusals.no_log(container)
            if known.deployment is None or known.is_transitioning:
                raise refusals.transitioning(known.name)
            text = known.deployment.log(container)
            has_ended = view.current["state"] == "Terminated"
        self._replied("ListLogs", fault)
        return resources.log_of(text, has_ended=has_ended, tail=tail)

    # what is around them

    def resource_group(self, name: str) -> Json:
        """:raises Refused:"""
        place = f"/subscriptions/{self.id}/resourceGroups/{name}"
        self._called("GetResourceGroup", "Microsoft.Resources/subscriptions/resourceGroups/read", place)
        if name.lower() not in self.resource_groups:
            raise refusals.no_resource_group(name)
        return {
            "id": place, "name": name, "type": "Microsoft.Resources/resourceGroups",
            "location": self.resource_groups[name.lower()], "properties": {"provisioningState": "Succeeded"},
        }  # fmt: skip

    def provider(self) -> Json:
        """:raises Refused:"""
        place = f"/subscriptions/{self.id}/providers/Microsoft.ContainerInstance"
        self._called("GetProvider", "Microsoft.Resources/subscriptions/providers/read", place)
        state = "Registered" if self.manner.is_registered else "NotRegistered"
        return {
            "id": place,
            "namespace": "Microsoft.ContainerInstance",
            "registrationState": state,
            "resourceTypes": [],
        }

    def permissions(self, resource_group: str) -> Json:
        """:raises Refused:"""
        self.calls["ListPermissions"] += 1
        if resource_group.lower() not in self.resource_groups:
            raise refusals.no_resource_group(resource_group)
        may = {"actions": list(self.manner.actions), "notActions": list(self.manner.not_actions)}
        return {"value": [{**may, "dataActions": [], "notDataActions": []}]}

    def usages(self, region: str) -> Json:
        """:raises Refused:"""
        self._called("ListUsages", "Microsoft.ContainerInstance/locations/usages/read", self._place(region))
        with self.changing:
            here = self._in(region)
            used = [
                ("ContainerGroups", len(here), self.manner.most_groups),
                ("StandardCores", regions.cores(here), self.manner.most_cores),
            ]
            return regions.usages(self.id, region, used)

    def capabilities(self, region: str) -> Json:
        """:raises Refused:"""
        self._called("ListCapabilities", "Microsoft.ContainerInstance/locations/capabilities/read", self._place(region))
        return regions.capabilities(region, self._size(region))

    def operation(self, name: str) -> Json:
        """:raises Refused:"""
        self.calls["GetOperation"] += 1
        with self.changing:
            if name not in self.operations:
                raise Refused(404, "OperationNotFound", f"The operation '{name}' was not found.")
            known = self.operations[name]
            is_gone = self.groups.get(known.group.id.lower()) is not known.group
            return resources.operation(name, known.group, is_gone=is_gone, began=known.began)

    # the hand's

    def behave(self, **changes: object) -> None:
        """From now on: as before, but for these of `Manner`."""
        self.manner = replace(self.manner, **changes)  # type: ignore[arg-type]

    def capacity_returns(self, region: str) -> list[str]:
        """What failed for want of it and is still there starts after all; the names."""
        with self.changing:
            self.behave(without_capacity=self.manner.without_capacity - {region})
            waiting = [each for each in self._in(region) if each.provisioning == "Failed" and each.has_cores]
            for group in waiting:
                group.deploy()
            return [group.name for group in waiting]

    def close(self) -> None:
        """Every container is killed."""
        with self.changing:
            self.creating.set()
            deployments = [each.deployment for each in self.groups.values() if each.deployment is not None]
        for deployment in deployments:
            deployment.stop()
            deployment.kill("Closed")
        for deployment in deployments:
            deployment.join(5)

    def _called(self, call: str, action: str, scope: str, region: str = "") -> Fault | None:
        """:raises Refused: as was ordered, or because it may not be done. :raises NoAnswer:"""
        with self.changing:
            self.calls[call] += 1
        fault = self.ordered.take(call)
        faults.before(fault, action, scope, region)
        if not self._is_allowed(action):
            raise refusals.denied(action, scope)
        if "/resourceGroups/" in scope and _resource_group(scope).lower() not in self.resource_groups:
            raise refusals.no_resource_group(_resource_group(scope))
        return fault

    def _replied(self, call: str, fault: Fault | None) -> None:
        """:raises NoAnswer: the reply is lost."""
        if (hold := self.holds.get(call)) is not None:
            hold.pass_through()
        faults.after(fault)

    def _is_allowed(self, action: str) -> bool:
        def covers(patterns: tuple[str, ...]) -> bool:
            return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)

        return covers(self.manner.actions) and not covers(self.manner.not_actions)

    def _check(self, group: str, body: Json) -> None:
        """What can be said of a request by itself. :raises Refused:"""
        if not self.manner.is_registered:
            raise refusals.unregistered()
        rules.check_group(body, group.rpartition("/")[2])
        self._place(region_of(body))
        for action, resource in rules.linked(body):
            if self.manner.linked is not None and resource not in self.manner.linked:
                raise refusals.linked_denied(action, group, resource)
        for container in body["properties"]["containers"]:
            if container["properties"]["image"] not in self.images:
                raise refusals.no_image(container["properties"]["image"], group.rpartition("/")[2])

    def _place(self, region: str) -> str:
        if region not in regions.REGIONS:
            raise refusals.no_such_region(region, regions.REGIONS)
        return f"/subscriptions/{self.id}/providers/Microsoft.ContainerInstance/locations/{region}"

    def _check_place(self, known: Group | None, name: str, group: str, region: str) -> None:
        """A name is of one region ("(ServiceUnavailable)… container group quota… exceeded in region")."""
        if known is not None and known.region != region:
            raise refusals.elsewhere(name, _resource_group(group), known.region, region)
        if self.names.get(name, region) != region:
            raise refusals.suspicious(region)

    def _check_quotas(self, region: str, body: Json, known: Group | None) -> None:
        others = [each for each in self._in(region) if each is not known]
        wanted = rules.size(body["properties"]["containers"])[0]
        if len(others) >= self.manner.most_groups:
            raise refusals.over_quota("ContainerGroups", region, self.manner.most_groups, len(others), 1)
        if regions.cores(others) + wanted > self.manner.most_cores:
            used = regions.cores(others)
            raise refusals.over_quota("StandardCores", region, self.manner.most_cores, used, wanted)

    def _begin(self, group: Group, body: Json, fault: Fault | None) -> None:
        """:raises Refused: there is no capacity; the group is there nevertheless, and failed."""
        containers = body["properties"]["containers"]
        lacking = event("InsufficientCapacity.", refusals.lacks(group.region, regions.asked(containers)), "Warning")
        if fault is Fault.CAPACITY or self._lacks(group.region, body):
            group.fail(lacking)
            raise refusals.no_capacity(group.region, regions.asked(containers))
        if fault is Fault.PROVISIONING:
            group.fail(lacking)
        elif fault is Fault.IMAGE_PULL:
            why = f'Failed to pull image "{containers[0]["properties"]["image"]}": manifest unknown'
            group.fail(event("Failed", why, "Warning"), "ImagePullBackOff", event("Failed", why, "Warning"))
        else:
            group.deploy(body, restarted=fault is Fault.RESTARTED)

    def _lacks(self, region: str, body: Json) -> bool:
        """Too large for the region is said in the same words."""
        containers, size = body["properties"]["containers"], self._size(region)
        cpu, memory = rules.size(containers)
        if str(body["properties"].get("priority")).lower() == "spot":
            size = regions.Size(min(size.cpu, SPOT_CPU), min(size.memory, SPOT_MEMORY))
        is_too_large = cpu > size.cpu or memory > size.memory or rules.gpus(containers) > 0
        return is_too_large or region in self.manner.without_capacity

    def _size(self, region: str) -> regions.Size:
        return self.manner.sizes.get(region, regions.Size())

    def _count(self, call: str, region: str) -> None:
        counted = self._counted.setdefault((call, region), limits.Counted(self.now))
        counted.count(call, region, self.manner.rates)

    def _act(self, call: str, verb: str, group: str, do: Callable[[Group], None]) -> None:
        fault = self._called(call, f"{KIND}/{verb}/action", group)
        with self.changing:
            known = self._known(group)
            if known.is_transitioning:
                raise refusals.transitioning(known.name)
            do(known)
        self._replied(call, fault)

    def _known(self, group: str) -> Group:
        if group.lower() not in self.groups:
            raise refusals.absent(group.rpartition("/")[2], _resource_group(group))
        return self.groups[group.lower()]

    def _in(self, region: str) -> list[Group]:
        return [each for each in self.groups.values() if each.region == region]

    def _remove(self, group: str) -> None:
        with self.changing:
            self.groups.pop(group.lower(), None)

    def _operation(self, group: Group) -> Operation:
        made = Operation(uuid4().hex, group, self.now().isoformat())
        self.operations[made.name] = made
        return made

    def _ground(self) -> Ground:
        return Ground(
            folder=self.folder / "containers",
            bin_folder=self.folder / "bin",
            changing=self.changing,
            creating=self.creating,
            entrypoint=self.images.get,
            deletion_looks=self.manner.deletion_looks,
            started=lambda group, told: self.started.append((group, told)),
            grace_seconds=self.manner.grace_seconds,
        )


def _resource_group(id_: str) -> str:
    """Of an ARM id."""
    return id_.split("/")[4]
