"""Task definitions, registered once, and found again by whoever comes cold.

Invariant: a family of ours has one content, which its name is made of. Whoever finds it active need not compare it,
and two who register it at once do no harm. RunTask is told the family, so that a repeat is the same to the letter.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from adapters import aws
from adapters.infrastructure.ecs.clients import Clients
from adapters.infrastructure.ecs.outcomes import is_definition_gone

log = logging.getLogger("pushpool")


@dataclass(frozen=True, slots=True)
class Definition:
    """A task definition that is there: what RunTask calls it, and what is in it."""

    name: str
    content: Mapping[str, Any]


class Definitions:
    """What this process knows to be registered."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known: dict[tuple[str, str], Definition] = {}
        self._lock = Lock()  # one registration at a time: AWS takes one a second

    def of(self, region: str, wanted: str | Mapping[str, Any]) -> Definition:
        """The one of that name, or of that content, registered if need be.

        :raises aws.ERRORS: it cannot be had. :raises Misconfigured: there is no client.
        """
        name = wanted if isinstance(wanted, str) else str(wanted["family"])
        if (found := self._known.get((region, name))) is not None:
            return found
        with self._lock:
            if (region, name) not in self._known:
                content = self._described(region, name) if isinstance(wanted, str) else self._ensured(region, wanted)
                self._known[region, name] = Definition(name, content)
            return self._known[region, name]

    def forget(self, region: str, name: str) -> None:
        """It was deregistered behind our back."""
        self._known.pop((region, name), None)

    def _described(self, region: str, name: str) -> Mapping[str, Any]:
        ecs = self._clients.of("ecs", region)
        content: Mapping[str, Any] = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        return content

    def _ensured(self, region: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        family = str(wanted["family"])
        try:
            if self._described(region, family).get("status", "ACTIVE") == "ACTIVE":
                return wanted
        except aws.ERRORS as error:
            if not is_definition_gone(aws.failure(error)):
                raise
        self._clients.of("ecs", region).register_task_definition(**wanted)
        log.info("task definition registered", extra={"family": family})
        return wanted
