"""Conditions of jobs, executions and tasks, in the words that the service has been seen to use."""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.testing.servers.cloud_run.resources import now
from dispatcher.testing.servers.cloud_run.theirs import Json

PENDING, RECONCILING = "CONDITION_PENDING", "CONDITION_RECONCILING"
FAILED, SUCCEEDED = "CONDITION_FAILED", "CONDITION_SUCCEEDED"

EXITED = "The container exited with an error."
TIMED_OUT = "The configured timeout was reached."
OUT_OF_MEMORY = "The configured memory limit was reached."
CANCELLED = "Cancelled by user."


@dataclass(frozen=True, slots=True)
class Ending:
    """How one try of a task ended; the service tells no exit code other than 0 of what it ended itself."""

    code: int = 0
    signal: int = 0
    message: str = ""  # why it failed; empty: it did not

    @property
    def is_success(self) -> bool:
        return self.code == 0 and not self.message

    def result(self) -> Json:
        """`lastAttemptResult`; 10 is google.rpc's ABORTED."""
        if self.is_success:
            return {"status": {}}
        signal = {"termSignal": self.signal} if self.signal else {"exitCode": self.code}
        return {"status": {"code": 10, "message": self.message}, **signal}

    def said(self, task: str) -> str:
        if self.signal:
            return f"Task {task} failed with message: Container terminated on signal {self.signal}."
        return f"Task {task} failed with exit code: {self.code} and message: {self.message}"


def condition(kind: str, state: str, message: str = "", **reasons: str) -> Json:
    said = {"message": message} if message else {}
    return {"type": kind, "state": state, "lastTransitionTime": now(), **said, **reasons}


def put(resource: Json, *told: Json) -> None:
    """Each takes the place of the one of its type."""
    known = {each["type"]: each for each in resource["conditions"]}
    known.update({each["type"]: each for each in told})
    resource["conditions"] = list(known.values())


def completed(resource: Json) -> Json:
    """The condition that says how it ended, or that it has not."""
    return next((each for each in resource["conditions"] if each["type"] == "Completed"), {})


def has_ended(resource: Json) -> bool:
    return completed(resource).get("state") in (FAILED, SUCCEEDED)


def waiting() -> list[Json]:
    kinds = ("ContainerReady", "ResourcesAvailable", "Started")
    return [condition("Completed", RECONCILING), *(condition(kind, PENDING) for kind in kinds)]


def provisioned() -> list[Json]:
    return [
        condition("ContainerReady", SUCCEEDED, "Imported container image."),
        condition("ResourcesAvailable", SUCCEEDED, "Provisioned imported containers."),
    ]
