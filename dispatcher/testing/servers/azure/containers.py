"""A container of a group as a process of this machine, and what the group's instance view says of it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from uuid import uuid4

from dispatcher.testing.servers.azure.theirs import Json
from dispatcher.testing.servers.cloud_run.containers import Container

STOPPED, REPLACED, OUT_OF_MEMORY, EVICTED = "Stopped", "Replaced", "OOMKilled", "Evicted"  # why one was ended


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(name: str, message: str, kind: str = "Normal") -> Json:
    at = now()
    return {"count": 1, "firstTimestamp": at, "lastTimestamp": at, "name": name, "message": message, "type": kind}


class Process(Container):
    """One start of a container."""

    def run(self) -> tuple[int, str]:
        """Starts it and waits for its end: the exit code as a shell has it, and why it was ended, if it was."""
        ending = self.end(None, 0)
        if self._process is None:
            return (128 + (signal.SIGTERM if self._why == STOPPED else signal.SIGKILL) if self._why else ending.code), (
                self._why
            )
        code = int(self._process.returncode)
        return (128 - code if code < 0 else code), self._why

    def kill(self, why: str) -> None:
        with self._lock:
            self._why = self._why or why
        self._signal(signal.SIGKILL)


class View:
    """What is told of one container."""

    def __init__(self, spec: Json) -> None:
        self.spec, self.restarts = spec, 0
        self.current: Json = {"state": "Waiting", "detailStatus": ""}
        self.previous: Json | None = None
        self.events: list[Json] = []

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def exit_code(self) -> int | None:
        return self.current.get("exitCode")

    @property
    def instance(self) -> Json:
        previous = {} if self.previous is None else {"previousState": self.previous}
        return {"restartCount": self.restarts, "currentState": self.current, **previous, "events": self.events}

    def wait(self, status: str, *events: Json) -> None:
        self.current = {"state": "Waiting", "detailStatus": status}
        self.events.extend(events)

    def run(self) -> None:
        if self.current["state"] == "Terminated":
            self.previous, self.restarts = self.current, self.restarts + 1
        image = self.spec["properties"]["image"]
        self.current = {"state": "Running", "startTime": now(), "detailStatus": ""}
        self.events += [
            event("Pulling", f'pulling image "{image}"'), event("Pulled", f'Successfully pulled image "{image}"'),
            event("Started", "Started container"),
        ]  # fmt: skip

    def terminate(self, code: int, why: str) -> None:
        status = OUT_OF_MEMORY if why == OUT_OF_MEMORY else "Completed" if code == 0 else "Error"
        ended = {"exitCode": code, "finishTime": now(), "detailStatus": status}
        self.current = {"state": "Terminated", "startTime": self.current["startTime"], **ended}
        if why:
            self.events.append(event("Killing", f"Killing container with id {uuid4().hex * 2}."))
