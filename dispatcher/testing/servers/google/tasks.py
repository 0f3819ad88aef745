"""Cloud Tasks: queues of HTTP requests, each brought at its time with an identity token.

The rules are of the reference (`Task`, `HttpRequest`, `CreateTaskRequest`) and of "Quotas and limits".
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.refusals import Refused, denied
from dispatcher.testing.servers.google.courier import Courier, Parcel
from dispatcher.testing.servers.google.issuer import Issuer

DAY_SECONDS = 86_400
LONGEST_AHEAD_SECONDS = 30 * DAY_SECONDS
MOST_BYTES = 1024 * 1024
_QUEUE = re.compile(r"projects/[A-Za-z0-9:.-]+/locations/[a-z0-9-]+/queues/[A-Za-z0-9-]{1,100}")
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class CloudTasks:
    """`accounts`: the service accounts that there are. `created`: each task that was made, as it was sent."""

    def __init__(self, issuer: Issuer, *, now: Callable[[], float] = time.time) -> None:
        self.courier = Courier(now)
        self.accounts: set[str] = set()
        self.created: list[Any] = []
        self._issuer, self._now = issuer, now
        self._queues: dict[str, int] = {}
        self._names: dict[str, Any] = {}  # also of those that are done: their names stay taken
        self._faults: deque[str] = deque()

    def make_queue(self, name: str, *, most_tries: int = 3) -> None:
        if not _QUEUE.fullmatch(name):
            raise _invalid(f"Queue.name '{name}' is malformed")
        self._queues[name] = most_tries

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        """The next CreateTask meets with that: `throttled`, `denied`, `timeout` (no effect) or `reply lost`."""
        self._faults.extend([kind] * times)

    def queue(self, name: str) -> str:
        """:raises Refused:"""
        if name not in self._queues:
            raise Refused("NOT_FOUND", "Queue does not exist. If you just created the queue, wait at least a minute.")
        return name

    def task(self, name: str) -> Any:
        """:raises Refused: there is none, or it is done."""
        if not self.courier.has(name):
            raise Refused("NOT_FOUND", "The task no longer exists, though a task with this name existed recently.")
        return self._names[name]

    def tasks(self, queue: str) -> list[Any]:
        """Those that are to be brought, or on their way."""
        of = self.queue(queue) + "/"
        return [task for name, task in self._names.items() if name.startswith(of) and self.courier.has(name)]

    def delete(self, name: str) -> None:
        self.task(name)
        self.courier.drop(name)

    def create(self, parent: str, task: Any) -> Any:
        """The task as it is kept. :raises Refused:"""
        fault = self._faults.popleft() if self._faults else ""
        _meet(fault, parent)
        self.queue(parent)
        self._check(parent, task)
        kept = type(task)()
        kept.CopyFrom(task)
        kept.name = task.name or f"{parent}/tasks/{len(self._names) + 10**18}"
        at = _seconds(task.schedule_time) or self._now()
        kept.schedule_time.FromDatetime(datetime.fromtimestamp(max(at, self._now()), UTC))
        kept.create_time.FromDatetime(datetime.fromtimestamp(int(self._now()), UTC))
        self.created.append(kept)
        self._names[kept.name] = kept
        self.courier.bring(self._parcel(kept, self._queues[parent]), at)
        if fault == "reply lost":
            raise Refused("UNAVAILABLE", "Socket closed")
        return kept

    def _check(self, parent: str, task: Any) -> None:
        if task.name:
            queue, _, task_id = task.name.partition("/tasks/")
            if queue != parent or not _TASK_ID.fullmatch(task_id):
                raise _invalid(f"Task name must be formatted: '{parent}/tasks/<TASK_ID>'; it is '{task.name}'")
            if self.courier.has(task.name):
                raise Refused("ALREADY_EXISTS", "Requested entity already exists")
            if task.name in self._names:
                why = "The task cannot be created because a task with this name existed too recently."
                raise Refused(
                    "ALREADY_EXISTS", f"{why} For more information about task de-duplication see the reference."
                )
        if _seconds(task.schedule_time) > self._now() + LONGEST_AHEAD_SECONDS:
            raise _invalid("Task.scheduleTime must be at most 30 days in the future")
        if (
            task.HasField("dispatch_deadline")
            and not 15 <= task.dispatch_deadline.ToTimedelta().total_seconds() <= 1800
        ):
            raise _invalid("Task.dispatchDeadline must be between [15s, 30m]")
        if task.ByteSize() > MOST_BYTES:
            raise _invalid("Task size too large")
        self._check_request(task)

    def _check_request(self, task: Any) -> None:
        if task.WhichOneof("message_type") != "http_request":
            raise _invalid("Task must have an HttpRequest: this queue has no App Engine application")
        request = task.http_request
        where = urlsplit(request.url)
        if where.scheme not in ("http", "https") or not where.hostname or len(request.url) > 2083:
            raise _invalid(
                "HttpRequest.url must start with 'http://' or 'https://' and be no longer than 2083 characters"
            )
        if request.body and _method(request) not in _WITH_BODY:
            raise _invalid("HttpRequest.body may be set for POST, PUT and PATCH only")
        account = request.oidc_token.service_account_email
        if request.HasField("oidc_token") and account not in self.accounts:
            raise denied("iam.serviceAccounts.actAs", account)

    def _parcel(self, task: Any, most_tries: int) -> Parcel:
        request, queue = task.http_request, task.name.split("/")[5]
        about = {"X-CloudTasks-QueueName": queue, "X-CloudTasks-TaskName": task.name.rpartition("/")[2]}

        def headers(number: int) -> dict[str, str]:
            said = {**request.headers, **about, "User-Agent": "Google-Cloud-Tasks"}
            if request.HasField("oidc_token"):
                token = request.oidc_token
                made = self._issuer.token(audience=token.audience or request.url, email=token.service_account_email)
                said["Authorization"] = f"Bearer {made}"
            return {**said, "X-CloudTasks-TaskRetryCount": str(number), "X-CloudTasks-TaskExecutionCount": str(number)}

        return Parcel(task.name, request.url, request.body, headers, _method(request), most_tries)


def _meet(fault: str, queue: str) -> None:
    """:raises Refused: the fault is an answer without an effect."""
    match fault:
        case "throttled":
            raise Refused("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'API requests'.")
        case "denied":
            raise denied("cloudtasks.tasks.create", queue)
        case "timeout":
            raise Refused("UNAVAILABLE", "The service is currently unavailable.")
        case _:
            pass


def _method(request: Any) -> str:
    names = theirs.module("google.cloud.tasks_v2").HttpMethod
    return "POST" if request.http_method == 0 else str(names(request.http_method).name)


def _seconds(timestamp: Any) -> float:
    return float(timestamp.seconds + timestamp.nanos / 1e9)


def _invalid(message: str) -> Refused:
    return Refused("INVALID_ARGUMENT", message)
