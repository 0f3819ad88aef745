"""The event "ECS Task State Change", put onto the account's default bus with each change of a task.

docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html. EventBridge may drop, repeat and reorder
them: `mode` says which of this happens.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from tests.servers.ecs.answers import Json
from tests.servers.ecs.theirs import event_bus, responses

# What the events of the service do not carry.
_NOT_TOLD = {"tags"}


class Mode(StrEnum):
    NORMAL = "normal"
    DROPPED = "dropped"
    DOUBLED = "doubled"
    HELD = "held"  # until they are released


class News:
    def __init__(self) -> None:
        self.mode = Mode.NORMAL
        self._told: list[Json] = []
        self._held: list[tuple[str, str, Json]] = []
        self._lock = threading.RLock()

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """A task is changed and its event sent as one: no later change overtakes it."""
        with self._lock:
            yield

    def tell(self, task: Json) -> None:
        """Sends the task as it is now, or does with it what `mode` says."""
        account, region = responses.get_account_id(), responses.get_region()
        record = _record(copy.deepcopy(task))
        with self._lock:
            match self.mode:
                case Mode.NORMAL:
                    self._send(account, region, record)
                case Mode.DOUBLED:
                    self._send(account, region, record)
                    self._send(account, region, record)
                case Mode.HELD:
                    self._held.append((account, region, record))
                case Mode.DROPPED:
                    pass

    def release(self, *, backwards: bool = False) -> int:
        """Sends what was held, the newest first if `backwards`; how many that were."""
        with self._lock:
            held, self._held = self._held, []
            for account, region, record in reversed(held) if backwards else held:
                self._send(account, region, record)
            return len(held)

    def told(self) -> list[Json]:
        """What was sent so far, as a target receives it."""
        with self._lock:
            return list(self._told)

    def _send(self, account: str, region: str, record: Json) -> None:
        with responses.request_scope(account, region):
            view: Any = event_bus._pattern_event_view(record)
            self._told.append(view.event_with_detail())
            event_bus._dispatch_event(record, view)


def _record(task: Json) -> Json:
    """An event as ministack keeps them."""
    detail = {name: value for name, value in task.items() if name not in _NOT_TOLD}
    return {
        "EventId": responses.new_uuid(),
        "Source": "aws.ecs",
        "DetailType": "ECS Task State Change",
        "Detail": json.dumps({**detail, "updatedAt": responses.now_iso()}),
        "EventBusName": "default",
        "Time": int(event_bus._now_ts()),
        "Resources": [task["taskArn"]],
        "Account": responses.get_account_id(),
        "Region": responses.get_region(),
    }
