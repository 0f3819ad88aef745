"""Wakes as tasks of a Cloud Tasks queue: each is an HTTP request to the function that makes the passes.

A task comes at its `schedule_time`, perhaps twice, with an identity token of a service account. Two tasks of one name
are one, and a name stays taken for 1 hour or up to 24 after its task is done ("Task De-duplication", CreateTaskRequest
in the reference of Cloud Tasks, by its edition). So only a wake for a moment has a name, made of that moment and the
pool: it is never needed again. It is hashed, for sequential names are slow (same place).
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from google.cloud.tasks_v2 import CloudTasksClient

from adapters import google
from adapters.wakes import Collapsing, Due, Wake, machine_time
from dispatcher.errors import InvalidInput, Misconfigured

log = logging.getLogger("pushpool")

ENDPOINT = "cloudtasks.googleapis.com"
CALL_SECONDS = 5.0
# The longest that Cloud Tasks waits for an answer (`Task.dispatch_deadline`): the function's own timeout is shorter.
LONGEST_ANSWER = timedelta(minutes=30)
_QUEUE = re.compile(r"projects/[^/?]+/locations/[^/?]+/queues/[A-Za-z0-9-]{1,100}")


class CloudTasksWaker:
    """Sends one task a pool and second, which comes when that second is over, whoever else sends the same."""

    def __init__(
        self,
        queue: str,
        *,
        url: str,
        service_account: str,
        audience: str = "",
        now: Callable[[], datetime] = machine_time,
    ) -> None:
        self._queue, self._url, self._service_account = queue, url, service_account
        self._audience = audience or url
        self._collapsing = Collapsing(now)

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        due = self._collapsing.due(pool, at)
        if due is not None:
            self._send(Wake(pool, hops), due)

    @cached_property
    def _client(self) -> CloudTasksClient:
        return google.client(CloudTasksClient, endpoint=ENDPOINT)

    def _send(self, wake: Wake, due: Due) -> None:
        request = {"parent": self._queue, "task": self._task(wake, due)}
        try:
            google.repeated(lambda: self._client.create_task(request, retry=None, timeout=CALL_SECONDS))
        except google.ERRORS as exc:
            failure = google.failure(exc)
            if not (due.is_timed and failure.code == "ALREADY_EXISTS"):
                self._lost(wake, str(failure))
        except Misconfigured as exc:
            self._lost(wake, str(exc))

    def _task(self, wake: Wake, due: Due) -> dict[str, Any]:
        task: dict[str, Any] = {
            "dispatch_deadline": LONGEST_ANSWER,
            "http_request": {
                "http_method": "POST",
                "url": self._url,
                "headers": {"Content-Type": "application/json"},
                "body": wake.to_text().encode(),
                "oidc_token": {"service_account_email": self._service_account, "audience": self._audience},
            },
        }
        if due.delay:
            task["schedule_time"] = datetime.fromtimestamp(due.second, UTC)
        if due.is_timed:
            task["name"] = f"{self._queue}/tasks/{_name(wake.pool, due.second)}"
        return task

    def _lost(self, wake: Wake, why: str) -> None:
        log.warning("wake not sent", extra={"pool": wake.pool, "queue": self._queue, "why": why})


def _name(pool: str, second: int) -> str:
    return hashlib.sha256(f"{second} {pool}".encode()).hexdigest()[:40]


def open_waker(address: str) -> CloudTasksWaker:
    """`address` as in `cloudtasks:projects/P/locations/L/queues/Q?url=https://…&service_account=NAME@…`.

    `audience` may be said too; it is the URL.
    """
    queue, _, rest = address.partition("?")
    said = {name: values[-1] for name, values in parse_qs(rest).items()}
    url, account = said.get("url", ""), said.get("service_account", "")
    if not _QUEUE.fullmatch(queue) or not url.startswith(("https://", "http://")) or "@" not in account:
        form = "cloudtasks:projects/P/locations/L/queues/Q?url=https://…&service_account=NAME@…"
        raise InvalidInput(f"cloudtasks:{address} is not the address of a queue; PUSHPOOL_WAKER is {form}")
    return CloudTasksWaker(queue, url=url, service_account=account, audience=said.get("audience", ""))
