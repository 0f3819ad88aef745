"""What registering has in common: what it changed, and trying again when somebody wrote in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from dispatcher.errors import Conflict, RecordChanged
from dispatcher.runs import ACTIVE, StateType

T = TypeVar("T")
TRIES = 10
UNFINISHED = frozenset({StateType.SCHEDULED, *ACTIVE})


class Change(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Registered(Generic[T]):
    """The thing as it is stored, and what registering it changed."""

    value: T
    change: Change


def retrying(work: Callable[[], T]) -> T:
    """Read, decide, write; again if somebody wrote in between."""
    for _ in range(TRIES):
        try:
            return work()
        except RecordChanged:
            continue
    raise Conflict("too many others are changing it; try again")


def kept(*, said: bool | None, before: bool) -> bool:
    """What is left out stays as it is."""
    return before if said is None else said


def some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
