"""Who plays in a life: deployments, named for what their containers do, and how their runs end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dispatcher.forms import ScheduleForm
from dispatcher.testing.clock import START

POOL, POOL_LIMIT = "pool", 2
# Narrow enough that runs wait for it while the pool has room.
QUEUE_LIMITS: Mapping[str, int | None] = {"default": None, "narrow": 1}


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
    def is_scheduled(self) -> bool:
        return "schedules" in self.deployment

    @property
    def limit(self) -> int | None:
        found: int | None = self.deployment.get("concurrency_limit")
        return found


FIRST_DATE, EVERY = START + timedelta(seconds=30), timedelta(minutes=1)  # of schedules
_EACH_MINUTE = ScheduleForm(interval=60, anchor_date=FIRST_DATE.isoformat())

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


def dates(until: datetime) -> list[datetime]:
    """Those of a schedule, up to then."""
    return [FIRST_DATE + number * EVERY for number in range((until - FIRST_DATE) // EVERY + 1)]


WHOLE: Sequence[str] = tuple(ROLES)
SHORT: Sequence[str] = ("ok", "flaky", "slow", "mute")
