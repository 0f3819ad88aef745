"""Work pools and work queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

DEFAULT_QUEUE = "default"


class Status(StrEnum):
    """How a pool or queue reads; computed when read, never written."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPool:
    """Where runs are submitted: a type of infrastructure, a base job template and a limit. The type never changes."""

    name: str
    type: str
    created: datetime
    updated: datetime
    description: str = ""
    base_job_template: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)  # the pool's own defaults
    paused: bool = False
    concurrency_limit: int | None = None
    prefetch_seconds: int = 10
    deleted: bool = False  # refuses new work, is drained by passes, then goes
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueue:
    """A lane of a pool. Lower priority numbers are served first; a number is unique within the pool."""

    pool: str
    name: str
    priority: int
    created: datetime
    updated: datetime
    description: str = ""
    paused: bool = False
    concurrency_limit: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Why a pool submits nothing for now. When `until` passes, one probe is admitted."""

    reason: str
    since: datetime
    until: datetime
    failures: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A budget of calls to the pool's cloud that is used up, and when there is room in it again."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPulse:
    """What passes leave behind about a pool: when one was made, whether its circuit is open, what it has used up."""

    pool: str
    last_pass: datetime | None = None
    circuit: Circuit | None = None
    spent: Spent | None = None
    version: int = 0
