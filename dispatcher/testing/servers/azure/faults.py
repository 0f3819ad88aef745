"""What is to go wrong with the next calls."""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

from dispatcher.testing.servers.azure import refusals
from dispatcher.testing.servers.azure.refusals import NoAnswer, Refused

CALLS = frozenset(
    {
        "CreateOrUpdate", "Update", "Get", "List", "Delete", "Start", "Restart", "Stop", "ListLogs", "ListUsages",
        "ListCapabilities", "GetResourceGroup", "GetProvider",
    }
)  # fmt: skip


class Fault(StrEnum):
    """The names are what a test says."""

    THROTTLED = "throttled"  # 429, for a few seconds
    HOURLY = "quota for the hour"  # 429, for an hour
    DENIED = "denied"
    LINKED = "linked denied"  # an identity or a subnet may not be given to a group
    UNAUTHENTICATED = "unauthenticated"
    UNREGISTERED = "unregistered"  # the subscription has not turned the service on
    REJECTED = "rejected"  # the image cannot be had
    REGISTRY = "registry"  # the image's registry is in trouble
    TRANSITIONING = "transitioning"
    GROUPS = "groups"  # there are as many as there may be
    CORES = "cores"  # they have as many as they may have
    CAPACITY = "capacity"  # none at this moment; the group is there, and failed
    PROVISIONING = "provisioning"  # accepted, and fails a moment later for want of capacity
    IMAGE_PULL = "image pull"  # accepted, and the image cannot be pulled
    RESTARTED = "restarted"  # accepted; the container is started again after a non-zero exit
    INTERNAL = "internal"  # a 500, and nothing was done
    TIMEOUT = "timeout"  # no answer, and nothing was done
    REPLY_LOST = "reply lost"  # no answer, and it was done


class Faults:
    """By the call's name, as in CreateOrUpdate."""

    def __init__(self) -> None:
        self._next: dict[str, deque[Fault]] = {}
        self._lock = threading.Lock()

    def plan(self, call: str, kind: str, times: int = 1) -> None:
        """:raises ValueError: no such call, or kind."""
        if call not in CALLS:
            raise ValueError(f"there is no call {call!r}; there are {', '.join(sorted(CALLS))}")
        with self._lock:
            self._next.setdefault(call, deque()).extend([Fault(kind)] * times)

    def take(self, call: str) -> Fault | None:
        with self._lock:
            planned = self._next.get(call)
            return planned.popleft() if planned else None

    def forget(self) -> None:
        with self._lock:
            self._next.clear()


def before(fault: Fault | None, action: str, scope: str, region: str) -> None:
    """:raises Refused: :raises NoAnswer: the fault is an answer, or none, without an effect."""
    if fault is Fault.TIMEOUT:
        raise NoAnswer
    name, identity = scope.rpartition("/")[2], "Microsoft.ManagedIdentity/userAssignedIdentities"
    answers: dict[Fault, Refused] = {
        Fault.THROTTLED: refusals.too_many("create", region, 100, 5, 5),
        Fault.HOURLY: refusals.too_many("create", region, 300, 60, 3600),
        Fault.DENIED: refusals.denied(action, scope),
        Fault.LINKED: refusals.linked_denied(f"{identity}/assign/action", scope, f"…/providers/{identity}/one"),
        Fault.UNAUTHENTICATED: refusals.unauthenticated("The access token is invalid."),
        Fault.UNREGISTERED: refusals.unregistered(),
        Fault.REJECTED: refusals.no_image("nobody/nothing:1", name),
        Fault.REGISTRY: refusals.no_registry("index.docker.io"),
        Fault.TRANSITIONING: refusals.transitioning(name),
        Fault.GROUPS: refusals.over_quota("ContainerGroups", region, 100, 100, 1),
        Fault.CORES: refusals.over_quota("StandardCores", region, 100, 100, 1),
        Fault.INTERNAL: refusals.internal(),
    }
    if fault is not None and fault in answers:
        raise answers[fault]


def after(fault: Fault | None) -> None:
    """:raises NoAnswer: the fault hides what was done."""
    if fault is Fault.REPLY_LOST:
        raise NoAnswer
