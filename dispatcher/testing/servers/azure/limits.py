"""How many calls there may be in a while, counted as they come: "any span of", not a bucket that refills."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.testing.servers.azure.refusals import too_many


@dataclass(frozen=True, slots=True)
class Limit:
    calls: int
    minutes: int


# container-instances/container-instances-resource-and-quota-limits: creates and deletes, a region of a subscription
PUBLISHED = (Limit(300, 60), Limit(100, 5))


class Counted:
    """Calls of one kind in one region. What is refused is not counted."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._calls: deque[datetime] = deque()

    def count(self, call: str, region: str, limits: tuple[Limit, ...]) -> None:
        """One more. :raises Refused: it is one too many; it says when there is room again."""
        now = self._now()
        for limit in limits:
            within = [at for at in self._calls if at > now - timedelta(minutes=limit.minutes)]
            if len(within) >= limit.calls:
                free = within[len(within) - limit.calls] + timedelta(minutes=limit.minutes)
                raise too_many(call, region, limit.calls, limit.minutes, math.ceil((free - now).total_seconds()))
        self._calls.append(now)
