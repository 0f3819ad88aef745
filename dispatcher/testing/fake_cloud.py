"""A cloud to test against: `FakeCloud` is the adapter, `FarSide` the cloud, which outlives it.

A job's `configuration` may hold `fake`: run_seconds (0: over at once, null: until told), exit_code, output, group (for
`FarSide.highest("group")`). Everything else is as `FarSide.behave` says.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from dispatcher.errors import InvalidInput, Unreachable
from dispatcher.ports import (
    Accepted,
    Cause,
    Event,
    Job,
    NotNow,
    Observation,
    Outcome,
    Phase,
    PoolUnavailable,
    Rate,
    Rejected,
    Request,
    Submission,
    Tell,
    Traits,
    Unknown,
)
from dispatcher.runs import Target
from dispatcher.testing.far_machine import Manner, Order, instant
from dispatcher.testing.far_side import FarSide

T = TypeVar("T")

log = logging.getLogger("pushpool")

TYPE = "fake"
WISHES = frozenset({"run_seconds", "exit_code", "output", "group", "regions"})


def open(settings: Mapping[str, str]) -> FakeCloud:  # noqa: A001 - the registry calls it by this name
    """Settings: `path`, the far side's file."""
    return FakeCloud(FarSide(Path(settings["path"])))


def traits_of(manner: Manner) -> Traits:
    """What a cloud that behaves like that declares of itself."""
    return Traits(
        token_life=None if manner.token_life is None else timedelta(seconds=manner.token_life),
        visibility_delay=timedelta(seconds=manner.visibility_delay),
        submit_deadline=timedelta(seconds=5),
        rates={"submit": (Rate(manner.burst, manner.per_second),)} if manner.burst else {},
        cleanup_after=timedelta(0) if manner.keeps else None,
        pushes_events=bool(manner.event_phases),
    )


class FakeCloud:
    """Talks to a far side, and keeps nothing of it. `traits`: what it declares, if that is not to be the truth."""

    def __init__(self, far: FarSide, *, traits: Traits | None = None) -> None:
        self.far = far
        self.traits = traits or traits_of(far.manner)

    def request(self, job: Job) -> Request:
        wishes = job.configuration.get("fake", {})
        if not isinstance(wishes, Mapping) or not wishes.keys() <= WISHES:
            raise InvalidInput(f"fake is {wishes!r}; it holds {', '.join(sorted(WISHES))}", path="fake")
        body = {
            "pool": job.pool,
            "deployment": job.deployment,
            "configuration": dict(job.configuration),
            "environment": dict(job.environment),
        }
        regions = wishes.get("regions") or [""]
        return Request(Target(TYPE, account="cloud", region=regions[job.refusals % len(regions)]), body)

    def submit(self, submission: Submission) -> Outcome:
        manner, failure = self.far.manner, self.far.met("submit")
        if failure is not None and failure != "reply lost":
            return _refusal(failure, self.far.now())
        time.sleep(manner.hold_before)
        handle = self.far.start(_order(submission))
        time.sleep(manner.hold_after)
        if failure is not None:
            return Unknown("the reply was lost")
        return Accepted(handle, _links(handle)) if handle else _refusal("throttled", self.far.now())

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        del target
        handle = self._call("find", lambda: self.far.submitted(run_id, attempt, submit_seq))
        return self._describe(handle) if handle else None

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        del target
        return self._call("describe", lambda: {handle: self._describe(handle) for handle in handles})

    def cancel(self, target: Target, handle: str) -> None:
        del target
        self._call("cancel", lambda: self.far.stop(handle))

    def cleanup(self, target: Target, handle: str) -> None:
        del target
        if not self._call("cleanup", lambda: self.far.clean(handle)):
            raise Unreachable(f"{handle} has not ended, and cannot be removed")

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        del target
        return _links(handle)

    def log(self, target: Target, handle: str) -> str | None:
        del target
        row = self.far.container(handle, visible=True)
        return str(row["output"]) if row else None

    def parse_event(self, raw: Mapping[str, Any]) -> Event | None:
        if raw.get("source") != "fake":
            return None
        seen = _observation(raw, str(raw["handle"]), Phase(raw["phase"]))
        return Event(str(raw["run_id"]), int(raw["attempt"]), seen)

    def diagnose(self, configuration: Mapping[str, Any]) -> Sequence[tuple[str, bool, str]]:
        del configuration
        return [("far side", self.far.path.exists(), f"{self.far.path} has to be there")]

    def _call(self, call: str, effect: Callable[[], T]) -> T:
        failure = self.far.met(call)
        if failure is None:
            return effect()
        if failure == "reply lost":
            effect()
        raise Unreachable(f"{call}: {failure}")

    def _describe(self, handle: str) -> Observation:
        row = self.far.container(handle, visible=True)
        if row is None:
            return Observation(phase=Phase.MISSING, handle=handle)
        phase = Phase.RUNNING if row["running"] else Phase.PENDING
        seen = {**dict(row), "started": row["runs_at"], "log_tail": row["output"]}
        return _observation(seen, handle, Phase.STOPPED if row["ended"] is not None else phase)


class TellingCloud(FakeCloud):
    """Tells of its events by itself, as infrastructure on this machine does.

    It hears at once of what its own `far` is asked to do, and of what other processes do when it looks again.
    """

    _thread: threading.Thread | None = None
    _closed = False

    def watch(self, tell: Tell) -> None:
        self._thread = threading.Thread(target=self._run, args=(tell,), name="fake-cloud", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self.far.behave()  # a change, which wakes the thread
        if self._thread is not None:
            self._thread.join()

    def _run(self, tell: Tell) -> None:
        seen = 0
        while not self._closed:
            for raw in self.far.take_events():
                self._tell(tell, raw)
            seen = self.far.wait_for_change(seen, self.far.next_event_in())

    def _tell(self, tell: Tell, raw: Mapping[str, Any]) -> None:
        event = self.parse_event(raw)
        try:
            if event is not None:
                tell(event)
        except Exception:  # one event's trouble must not end the watch
            log.exception("an event could not be dealt with")


def _observation(seen: Mapping[str, Any], handle: str, phase: Phase) -> Observation:
    started = None if phase is Phase.PENDING else instant(seen["started"])
    if phase is not Phase.STOPPED:
        return Observation(phase=phase, handle=handle, started=started)
    return Observation(
        phase=phase,
        handle=handle,
        exit_code=seen["exit_code"],
        cause=Cause(seen["cause"]),
        message=seen["message"],
        started=started,
        ended=instant(seen["ended"]),
        log_tail=seen["log_tail"],
    )


def _order(submission: Submission) -> Order:
    body = submission.request.body
    wishes = body["configuration"].get("fake", {})
    return Order(
        run_id=submission.run_id,
        attempt=submission.attempt,
        submit_seq=submission.submit_seq,
        pool=body["pool"],
        deployment=body["deployment"],
        group=str(wishes.get("group", "")),
        environment={**body["environment"], "PUSHPOOL_RUN_TOKEN": submission.token},
        wishes=wishes,
    )


def _links(handle: str) -> dict[str, str]:
    return {"console": f"https://cloud.example/{handle}", "logs": f"https://cloud.example/{handle}/logs"}


def _refusal(failure: str, now: datetime) -> Outcome:
    match failure:
        case "throttled":
            return NotNow("too many requests", timedelta(seconds=1))
        case "no capacity":
            return NotNow("nothing is free")
        case "denied":
            return PoolUnavailable("access denied: the credentials are not valid here")
        case "quota":
            return PoolUnavailable("the account's quota is used up", now + timedelta(minutes=1))
        case "rejected":
            return Rejected("there is no such image")
        case _:
            return Unknown(failure)
