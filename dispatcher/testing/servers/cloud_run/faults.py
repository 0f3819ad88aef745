"""What is to go wrong with the next calls."""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

from dispatcher.testing.servers.cloud_run.refusals import Refused, denied, invalid, over_quota, throttled


class Fault(StrEnum):
    """The names are what a test says."""

    THROTTLED = "throttled"
    DENIED = "denied"
    ACT_AS = "act as"  # the service account may not be given to a job
    DISABLED = "disabled"  # the API is not turned on
    UNAUTHENTICATED = "unauthenticated"
    REJECTED = "rejected"
    JOBS = "jobs"  # there are as many as there may be
    EXECUTIONS = "executions"  # as many run as may
    TIMEOUT = "timeout"  # UNAVAILABLE, and nothing was done
    INTERNAL = "internal"  # INTERNAL, and nothing was done
    REPLY_LOST = "reply lost"  # UNAVAILABLE, and it was done


class Faults:
    """By the call's name, as in CreateJob."""

    def __init__(self) -> None:
        self._next: dict[str, deque[Fault]] = {}
        self._lock = threading.Lock()

    def plan(self, call: str, kind: str, times: int = 1) -> None:
        """:raises ValueError: no such kind."""
        with self._lock:
            self._next.setdefault(call, deque()).extend([Fault(kind)] * times)

    def take(self, call: str) -> Fault | None:
        with self._lock:
            planned = self._next.get(call)
            return planned.popleft() if planned else None

    def forget(self) -> None:
        with self._lock:
            self._next.clear()


class Hold:
    """Replies that wait: what was asked for has been done, and whoever asked does not know yet."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        self.released.wait(60)


def before(fault: Fault | None, call: str, place: str, number: str) -> None:
    """:raises Refused: the fault is an answer without an effect."""
    permission = "run.jobs.run" if call == "RunJob" else f"run.{call[:1].lower()}{call[1:]}"
    refusals = {
        Fault.THROTTLED: throttled("run" if call == "RunJob" else "write", place.split("/")[3], number),
        Fault.DENIED: denied({"CreateJob": "run.jobs.create"}.get(call, permission), place),
        Fault.ACT_AS: Refused(
            "PERMISSION_DENIED",
            f"Permission 'iam.serviceaccounts.actAs' denied on service account "
            f"{number}-compute@developer.gserviceaccount.com (or it may not exist).",
        ),
        Fault.DISABLED: Refused(
            "PERMISSION_DENIED",
            f"Cloud Run Admin API has not been used in project {number} before or it is disabled. Enable it by "
            f"visiting https://console.developers.google.com/apis/api/run.googleapis.com/overview?project={number} "
            "then retry.",
            reason="SERVICE_DISABLED",
            metadata={"service": "run.googleapis.com", "consumer": f"projects/{number}"},
        ),
        Fault.UNAUTHENTICATED: Refused(
            "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token."
        ),
        Fault.REJECTED: invalid(
            "template.template.containers[0].image", "Expected an image path like [host/]repo[:tag]"
        ),
        Fault.JOBS: over_quota("Jobs"),
        Fault.EXECUTIONS: over_quota("running Executions"),
        Fault.TIMEOUT: Refused("UNAVAILABLE", "The service is currently unavailable."),
        Fault.INTERNAL: Refused("INTERNAL", "Internal error encountered."),
    }
    if fault is not None and fault in refusals:
        raise refusals[fault]


def after(fault: Fault | None) -> None:
    """:raises Refused: the fault hides what was done."""
    if fault is Fault.REPLY_LOST:
        raise Refused("UNAVAILABLE", "The service is currently unavailable.")
