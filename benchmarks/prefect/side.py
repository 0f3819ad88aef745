"""What the measurements ask of either system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.prefect.listening import Listener
from benchmarks.prefect.standing import Use, use_of


class Side(Protocol):
    """A system that is up.

    `stayers`: the process ids of what has to stay up for it to start runs. `databases`: those of its database servers.
    """

    stayers: list[int]
    databases: list[int]

    def create(self, deployment: str) -> str:
        """The id of a new run that is due now."""

    def pause(self, pool: str) -> None: ...

    def resume(self, pool: str) -> None: ...

    def limit(self, pool: str, most: int | None) -> None: ...

    def active(self, pool: str) -> int:
        """How many of the pool's runs it takes for submitted and not ended."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to run the work: a deployment in a pool of a side. `poll_seconds`: how often work is asked for, if so."""

    side: Side
    pool: str
    deployment: str
    listener: Listener
    poll_seconds: float = 0.0

    def create(self, number: int) -> list[str]:
        return [self.side.create(self.deployment) for _ in range(number)]

    def use(self) -> Use:
        """What has to stay up."""
        return use_of(self.side.stayers, self.side.databases)

    @contextmanager
    def limited(self, most: int) -> Iterator[None]:
        self.side.limit(self.pool, most)
        try:
            yield
        finally:
            self.side.limit(self.pool, None)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same work on both sides."""

    theirs: Lane
    ours: Lane
