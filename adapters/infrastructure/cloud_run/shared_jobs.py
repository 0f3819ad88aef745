"""Jobs that runs share, made once and found again by whoever comes cold.

Invariant: such a job has one content, which its name is made of. Whoever finds it need not compare it, and two who make
it at once do no harm. One that never gets ready is removed, so that the next run makes it anew.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from adapters import google
from adapters.infrastructure.cloud_run import executions, outcomes, places
from adapters.infrastructure.cloud_run.clients import Clients
from adapters.infrastructure.cloud_run.messages import create_request, json_of
from dispatcher.errors import Misconfigured
from dispatcher.ports import Cause, NotNow, Outcome, PoolUnavailable, Rejected

log = logging.getLogger("pushpool")

READY_SECONDS = 12.0  # until its image has been looked up
CALL_SECONDS = 8.0


class SharedJobs:
    """What this process knows to be there."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known: set[str] = set()
        self._lock = Lock()  # one at a time: the others will find it

    def ensure(self, region: str, body: Mapping[str, Any]) -> Outcome | None:
        """None: it is there and can be run. Else the outcome: nothing was started."""
        name = places.job_name(str(body["parent"]), str(body["jobId"]))
        if name in self._known:
            return None
        with self._lock:
            if name in self._known:
                return None
            try:
                outcome = self._made(region, name, body)
            except Misconfigured as error:
                return PoolUnavailable(str(error))
            except google.ERRORS as error:
                failure = google.failure(error)
                return outcomes.of_failure(failure, "CreateJob", now=datetime.now(UTC), principal=google.principal())
            if outcome is None:
                self._known.add(name)
            return outcome

    def forget(self, name: str) -> None:
        """It was deleted behind our back."""
        self._known.discard(name)

    def _made(self, region: str, name: str, body: Mapping[str, Any]) -> Outcome | None:
        jobs = self._clients.jobs(region)
        try:
            jobs.create_job(request=create_request(body), retry=None, timeout=CALL_SECONDS)
            log.info("shared job made", extra={"job": name})
        except google.ERRORS as error:
            if google.failure(error).code != outcomes.EXISTS:
                raise
        until, pause = time.monotonic() + READY_SECONDS, 0.1
        while True:
            job = json_of(jobs.get_job(name=name, retry=None, timeout=CALL_SECONDS))
            state = (job.get("terminalCondition") or {}).get("state")
            if state == executions.SUCCEEDED:
                return None
            if state == executions.FAILED:
                return self._removed(jobs, name, job)
            if time.monotonic() > until:
                return NotNow(f"{name} is still being made")
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _removed(self, jobs: Any, name: str, job: Mapping[str, Any]) -> Outcome:
        with contextlib.suppress(*google.ERRORS):
            jobs.delete_job(name=name, retry=None, timeout=CALL_SECONDS)
        seen = executions.of_job(job, name)
        return Rejected(seen.message) if seen.cause is Cause.REFUSED else NotNow(seen.message)
