"""Jobs that runs share, made once and found again by whoever comes cold.

Invariant: such a job has one content, which its name is made of. Whoever finds it need not compare it, and two who make
it at once do no harm. One that never gets ready is removed, so that the next run makes it anew.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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
SLOW_SECONDS = 5.0  # one that was not ready by then is not waited for again at once
CALL_SECONDS = 8.0


class SharedJobs:
    """What this process knows to be there."""

    def __init__(self, clients: Clients, ready_seconds: float = READY_SECONDS) -> None:
        self._clients, self._ready_seconds = clients, ready_seconds
        self._known: set[str] = set()
        self._refused: dict[str, tuple[float, Outcome]] = {}  # when, and what was said
        self._lock = Lock()  # one at a time: the others will find it

    def ensure(self, region: str, body: Mapping[str, Any], until: float) -> Outcome | None:
        """None: it is there and can be run. Else the outcome: nothing was started.

        It is known by `until`, of the monotonic clock, or two calls later: whoever waits longer counts as unanswered.
        """
        name, begun = places.job_name(str(body["parent"]), str(body["jobId"])), time.monotonic()
        if name in self._known:
            return None
        if not self._lock.acquire(timeout=max(0.0, until - begun)):
            return NotNow(f"{name} was not made yet: others were")
        try:
            if name in self._known:
                return None
            outcome = self._told(name, begun) or self._asked(region, name, body, until)
            if outcome is None:
                self._known.add(name)
            return outcome
        finally:
            self._lock.release()

    def forget(self, name: str) -> None:
        """It was deleted behind our back."""
        self._known.discard(name)

    def _told(self, name: str, begun: float) -> Outcome | None:
        """What another was told while this one waited; and that it is slow holds for a while."""
        at, outcome = self._refused.get(name, (0.0, None))
        return outcome if at >= begun - (SLOW_SECONDS if isinstance(outcome, NotNow) else 0.0) else None

    def _asked(self, region: str, name: str, body: Mapping[str, Any], until: float) -> Outcome | None:
        try:
            outcome = self._made(region, name, body, until)
        except Misconfigured as error:
            outcome = PoolUnavailable(str(error))
        except google.ERRORS as error:
            failure = google.failure(error)
            outcome = outcomes.of_failure(failure, "CreateJob", now=datetime.now(UTC), principal=google.principal())
        if outcome is not None:
            self._refused[name] = time.monotonic(), outcome
        return outcome

    def _made(self, region: str, name: str, body: Mapping[str, Any], until: float) -> Outcome | None:
        jobs = self._clients.jobs(region)
        try:
            jobs.create_job(request=create_request(body), retry=None, timeout=CALL_SECONDS)
            log.info("shared job made", extra={"job": name})
        except google.ERRORS as error:
            if google.failure(error).code != outcomes.EXISTS:
                raise
        until, pause = min(until, time.monotonic() + self._ready_seconds), 0.1
        while True:
            job = self._job(jobs, name)
            if job is None:
                return NotNow(f"{name} was deleted as it was made")
            state = (job.get("terminalCondition") or {}).get("state")
            if state == executions.SUCCEEDED:
                return None
            if state == executions.FAILED:
                return self._removed(jobs, name, job)
            if time.monotonic() > until:
                return NotNow(f"{name} is still being made", timedelta(seconds=SLOW_SECONDS))
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _job(self, jobs: Any, name: str) -> Mapping[str, Any] | None:
        """None: another dispatcher found that it had failed, and has removed it."""
        try:
            return json_of(jobs.get_job(name=name, retry=None, timeout=CALL_SECONDS))
        except google.ERRORS as error:
            if google.failure(error).code == "NOT_FOUND":
                return None
            raise

    def _removed(self, jobs: Any, name: str, job: Mapping[str, Any]) -> Outcome:
        """As it was seen: not one that was made anew since, nor one that has had executions, which would go with it."""
        if not job.get("latestCreatedExecution"):
            with contextlib.suppress(*google.ERRORS):
                asked = {"name": name, "etag": job.get("etag", "")}
                jobs.delete_job(request=asked, retry=None, timeout=CALL_SECONDS)
        seen = executions.of_job(job, name)
        return Rejected(seen.message) if seen.cause is Cause.REFUSED else NotNow(seen.message)
