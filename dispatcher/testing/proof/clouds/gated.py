"""What the far sides of all clouds have in common: their containers come through a gate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dispatcher import registry
from dispatcher.testing.proof.far import Container, Unsettled
from dispatcher.testing.proof.gate import ADDRESS, ROLE, Gate, command

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.003

ALL_FAULTS = ("throttled", "denied", "timeout", "reply lost")

Key: TypeAlias = tuple[str, int]  # run id, attempt


@dataclass(frozen=True, slots=True)
class Sight:
    """What a cloud says of its containers: whose have not ended; and which are on their way to their start or end."""

    live: Sequence[Key] = ()
    moving: Sequence[str] = ()


class Gated:
    """One life's far side. A cloud's own fills `see`, `crash`, `left` and what else it can do."""

    type: str
    faults: Sequence[str] = ()

    def __init__(
        self,
        *,
        variables: Mapping[str, Any],
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        python: str = "python3",
    ) -> None:
        self.variables = {"runner": False, **variables}
        self.settings, self.environment = settings or {}, environment or {}
        self.template = registry.template(self.type)
        self.gate = Gate()
        self._python = python

    def job(self, deployment: str) -> Mapping[str, Any]:
        variables = {"env": {ADDRESS: self.gate.address, ROLE: deployment}}
        return {"command": command(self._python), "job_variables": variables}

    def seconds(self) -> float:
        return time.monotonic()

    def containers(self) -> list[Container]:
        return self.gate.containers()

    def finish(self, name: str, exit_code: int) -> None:
        self.gate.finish(name, exit_code)

    def take_events(self) -> list[Mapping[str, Any]]:
        """None: this cloud tells nobody."""
        return []

    def settle(self) -> None:
        """:raises Unsettled:"""
        wait_until_none(self._unsettled)

    def restarted(self) -> Collection[str]:
        """Names of containers that the cloud has started once more by itself; nobody has submitted them."""
        return ()

    def see(self) -> Sight:
        """What the cloud itself says, whoever asks."""
        raise NotImplementedError

    def close(self) -> None:
        """Everything that is left is ended and removed. What the gate has noted stays."""
        self.gate.close()

    def key(self, name: str) -> Key:
        """:raises KeyError: no such container."""
        for each in self.gate.containers():
            if each.name == name:
                return key_of(each)
        raise KeyError(name)

    def wait_for_end(self, name: str) -> None:
        """:raises Unsettled:"""
        wait_until_none(lambda: ", ".join(each.name for each in self.containers() if each.is_up and each.name == name))

    def _unsettled(self) -> str:
        if leaving := self.gate.leaving():
            return f"told to exit and still there: {leaving}"
        said = self.see()
        if said.moving:
            return f"on the way to a start or an end: {list(said.moving)}"
        runs = Counter(key_of(each) for each in self.gate.containers() if each.is_up)
        if runs != Counter(said.live):
            return f"the cloud says that {_shown(said.live)} run, and in truth {_shown(runs.elements())} do"
        return ""


def key_of(container: Container) -> Key:
    return container.run_id, container.attempt


def told_key(environment: Mapping[str, str]) -> Key:
    """Of a container that was told these variables."""
    return environment["PUSHPOOL_RUN_ID"], int(environment["PUSHPOOL_ATTEMPT"])


def wait_until_none(why_not: Callable[[], str]) -> None:
    """Until that has nothing more to say. :raises Unsettled: with what it says."""
    until = time.monotonic() + PATIENCE_SECONDS
    while why := why_not():
        if time.monotonic() > until:
            raise Unsettled(f"not settled after {PATIENCE_SECONDS:g} s: {why}")
        time.sleep(POLL_SECONDS)


def _shown(keys: Iterable[Key]) -> list[str]:
    return sorted(f"{run_id}/{attempt}" for run_id, attempt in keys)
