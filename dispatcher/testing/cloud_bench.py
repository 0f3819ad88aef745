"""A cloud under test: the test's hand on it, and what the cases of `infrastructure_suite` do with an adapter."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

from dispatcher.ports import Accepted, Infrastructure, Job, Observation, Phase, Request, Submission

T = TypeVar("T")

TOKEN = "pp1.the-token-that-nobody-else-may-see"  # noqa: S105


class Cloud(Protocol):
    """The test's hand on the far side."""

    def open(self) -> Infrastructure:
        """A new adapter on the same cloud, as after a restart. Closed when the test is over, if it can be."""
        ...

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        """A job that prints and exits; `exits` None: that goes on until it is stopped."""
        ...

    def started(self, run_id: str) -> int:
        """How many containers were really started for the run."""
        ...

    def unknown_handle(self) -> str:
        """One that looks like the cloud's own, of something that never was."""
        ...

    def fail_next(self, kind: str) -> bool:
        """The next submission meets with that. False: that cannot be done here.

        `throttled`, `denied`, `rejected`: a definite no. `timeout`: no answer and no effect. `reply lost`: no
        answer, and the effect.
        """
        ...

    def kill(self, handle: str) -> bool:
        """As the out-of-memory killer does. False: that cannot be done here."""
        ...

    def event(self, handle: str) -> Mapping[str, Any] | None:
        """What the cloud sends about the end of that one; None: it sends nothing."""
        ...


def submission(job: Job, request: Request) -> Submission:
    return Submission(job.run_id, job.attempt, job.submit_seq, request, TOKEN)


class CloudBench:
    """`patience_seconds`: how long the slowest thing of this cloud may take."""

    patience_seconds = 20.0

    @pytest.fixture
    def infrastructure(self, cloud: Cloud) -> Infrastructure:
        return cloud.open()

    @pytest.fixture
    def run_id(self) -> str:
        return str(uuid4())

    def eventually(self, look: Callable[[], T | None]) -> T:
        """What `look` finds, as soon as it finds something."""
        until = time.monotonic() + self.patience_seconds
        while (found := look()) is None:
            assert time.monotonic() < until, f"not seen within {self.patience_seconds:g} s"
            time.sleep(0.01)
        return found

    def start(self, infrastructure: Infrastructure, job: Job) -> tuple[Request, str]:
        """Its request and its handle."""
        request = infrastructure.request(job)
        outcome = infrastructure.submit(submission(job, request))
        assert isinstance(outcome, Accepted), outcome
        return request, outcome.handle

    def until(self, infrastructure: Infrastructure, request: Request, handle: str, phase: Phase) -> Observation:
        def look() -> Observation | None:
            seen = infrastructure.describe_many(request.target, [handle])[handle]
            return seen if seen.phase is phase else None

        return self.eventually(look)

    def run_to_its_end(self, infrastructure: Infrastructure, job: Job) -> Observation:
        request, handle = self.start(infrastructure, job)
        return self.until(infrastructure, request, handle, Phase.STOPPED)

    def stop(self, infrastructure: Infrastructure, request: Request, handle: str) -> Observation:
        infrastructure.cancel(request.target, handle)
        return self.until(infrastructure, request, handle, Phase.STOPPED)

    def arrange(self, cloud: Cloud, kind: str) -> None:
        if not cloud.fail_next(kind):
            pytest.skip(f"{kind!r} cannot be brought about here")
