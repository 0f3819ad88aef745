"""Every store with every infrastructure: which lives are lived, and what came of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dispatcher.testing.proof.cast import SHORT, WHOLE
from dispatcher.testing.proof.cell import Cell, Told, deaths
from dispatcher.testing.proof.clouds import clouds
from dispatcher.testing.proof.promises import Promise
from dispatcher.testing.proof.stores import stores


@dataclass(frozen=True, slots=True)
class Every:
    """So many steps apart dispatchers are killed, are not answered, and are killed in each trouble."""

    killed: int
    unheard: int
    troubled: int


@dataclass(frozen=True, slots=True)
class Pair:
    """`store` and `cloud` are names of `stores.STORES` and `clouds.CLOUDS`."""

    store: str
    cloud: str

    @property
    def roles(self) -> Sequence[str]:
        """On the quickest store everybody plays."""
        return WHOLE if self.store == "sqlite" else SHORT

    @property
    def every(self) -> Every:
        """Everything where a life takes a moment; elsewhere every death in a life of few, or some in a life of all."""
        if self.store == "sqlite":
            return Every(1, 1, 8) if self.cloud == "scripted" else Every(3, 9, 30)
        return Every(1, 6, 20)

    def __str__(self) -> str:
        return f"{self.store} with {self.cloud}"


@dataclass(slots=True)
class Tally:
    """What the lives of a pair came to. `points`: the calls that went wrong, by how."""

    seconds: float = 0.0
    lives: int = 0
    started: int = 0
    points: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)

    def add(self, told: Told) -> None:
        self.lives += 1
        self.started += told.started
        if told.plan.trip is not None and told.tripped is not None:
            self.points[told.plan.trip.how] += 1
        self.broken.update(each.promise.value for each in told.breaches)
        at = f" ({told.tripped})" if told.tripped else ""
        self.breaches += [f"{told.plan}{at}: {each.promise}: {each.how}" for each in told.breaches]

    def to_json(self) -> str:
        return json.dumps(
            {
                **{each.name: getattr(self, each.name) for each in fields(self)},
                "points": dict(self.points),
                "broken": dict(self.broken),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Tally:
        told: Mapping[str, Any] = json.loads(text)
        return cls(**{**told, "points": Counter(told["points"]), "broken": Counter(told["broken"])})

    @property
    def figures(self) -> list[int]:
        """In the table's order."""
        return [self.lives, self.started, self.points["killed"], self.points["unheard"], *self._broken()]

    def _broken(self) -> list[int]:
        return [self.broken[promise.value] for promise in Promise]


@contextmanager
def cell(pair: Pair, folder: Path) -> Iterator[Cell]:
    """:raises Missing: a server is not installed. :raises Broken: it does not come up."""
    with stores(pair.store, folder) as new_store, clouds(pair.cloud, folder) as new_far:
        yield Cell(folder, new_store, new_far, pair.roles)


def lives(it: Cell, every: Every) -> Iterator[Told]:
    """A dispatcher is killed at a step of each; then it hears nothing; then each trouble comes besides."""
    yield from deaths(it, every=every.killed)
    yield from deaths(it, how="unheard", every=every.unheard)
    for number, trouble in enumerate(it.troubles()):
        yield from deaths(it, trouble=trouble, every=every.troubled, first=number)


def prove(pair: Pair, folder: Path, tell: Callable[[Tally], None]) -> Tally:
    """All lives of a pair; `tell` is told after each."""
    tally, began = Tally(), time.monotonic()
    with cell(pair, folder) as it:
        for told in lives(it, pair.every):
            tally.add(told)
            tally.seconds = time.monotonic() - began
            tell(tally)
    return tally
