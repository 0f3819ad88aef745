"""Who plays in a life: deployments, named for what their containers do, and how their runs end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatcher.forms import ScheduleForm

POOL, POOL_LIMIT = "pool", 3
QUEUE_LIMITS: Mapping[str, int | None] = {"default": None, "narrow": 2}


@dataclass(frozen=True, slots=True)
class Role:
    """`orders`: how many runs are created by hand. `ends`: the state type that each of its runs ends in."""

    deployment: Mapping[str, Any] = field(default_factory=dict)
    orders: int = 1
    ends: str = "COMPLETED"

    @property
    def queue(self) -> str:
        return str(self.deployment.get("queue", "default"))

    @property
    def limit(self) -> int | None:
        found: int | None = self.deployment.get("concurrency_limit")
        return found


_EACH_MINUTE = ScheduleForm(interval=60, anchor_date="2026-03-01T12:00:30Z")

ROLES: Mapping[str, Role] = {
    # claims its attempt, and completes
    "ok": Role({"queue": "narrow", "schedules": [_EACH_MINUTE]}),
    # fails in its first attempt
    "flaky": Role({"retries": 1, "retry_delay_seconds": 5}),
    # is killed in its first attempt
    "dies": Role({"concurrency_limit": 1, "retries": 1}, orders=2),
    # runs until it is cancelled
    "slow": Role({"queue": "narrow"}, ends="CANCELLED"),
    # runs until it is over its timeout
    "overruns": Role({"timeout_seconds": 60}, ends="FAILED"),
    # has no runner, and is told of by the cloud alone
    "mute": Role(),
    # is forgotten by the cloud in its first attempt
    "vanishes": Role({"retries": 1}),
}
WHOLE: Sequence[str] = tuple(ROLES)
SHORT: Sequence[str] = ("ok", "flaky", "slow", "mute")
