"""What `clientToken` makes of a repeated RunTask.

docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html: per cluster; the same parameters get the first
answer again, failures too; others a ConflictException that names the tasks. Of a task that has stopped, only ARN and
status come back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.servers.ecs.answers import Json, Refused

Place = tuple[str, str, str]  # account, region, cluster


@dataclass(frozen=True, slots=True)
class _First:
    parameters: str
    payload: Json


class Tokens:
    """`now`: a task by its ARN as it is now."""

    def __init__(self, now: Callable[[str], Json]) -> None:
        self._now = now
        self._first: dict[tuple[Place, str], _First] = {}
        self._lock = threading.Lock()

    def once(self, place: Place, request: Json, run: Callable[[], Json]) -> Json:
        """What `run` returns, or returned for the same token before. An error is not remembered: it had no effect."""
        token = request.get("clientToken")
        if not token:
            return run()
        parameters = json.dumps(
            {name: value for name, value in request.items() if name != "clientToken"}, sort_keys=True
        )
        with self._lock:
            first = self._first.get((place, token))
            if first is None:
                first = self._first[place, token] = _First(parameters, run())
                return first.payload
        if first.parameters != parameters:
            raise Refused(
                "ConflictException", "The provided clientToken is already in use with a different RunTask request.",
                resourceIds=[task["taskArn"] for task in first.payload["tasks"]],
            )  # fmt: skip
        return {**first.payload, "tasks": [self._again(task) for task in first.payload["tasks"]]}

    def _again(self, task: Json) -> Json:
        now: Json = self._now(task["taskArn"])
        if now.get("lastStatus") != "STOPPED":
            return task
        kept: dict[str, Any] = {name: now[name] for name in ("taskArn", "lastStatus", "desiredStatus")}
        return kept
