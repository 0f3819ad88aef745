"""A state directory for processes, and those who open it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from adapters.infrastructure import process
from adapters.infrastructure.process import folders, shim
from adapters.infrastructure.process.processes import TABLE
from adapters.infrastructure.process.rendering import MARK
from dispatcher.ports import Accepted, Job, Observation, Phase, Submission
from dispatcher.runs import Target

T = TypeVar("T")


class Bench:
    """A state directory and those who open it, one after the other or at once."""

    run_id = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
    handle = f"{run_id}/1-1"
    target = Target("process", account="here")
    token = "pp1.the-token-that-nobody-else-may-see"

    def __init__(self, folder: Path) -> None:
        self.root = folder / "attempts"
        self.folder = folder
        self.opened: list[process.Process] = []

    def eventually(self, look: Callable[[], T]) -> T:
        """What `look` finds, as soon as that is something."""
        until = time.monotonic() + 10
        while not (found := look()):
            assert time.monotonic() < until
            time.sleep(0.005)
        return found

    def job(
        self,
        command: Sequence[str],
        *,
        attempt: int = 1,
        submit_seq: int = 1,
        environment: Mapping[str, str] | None = None,
        **configuration: Any,
    ) -> Job:
        return Job(
            pool="laptop",
            run_id=self.run_id,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration={"command": command, "runner": False, **configuration},
            environment={"PUSHPOOL_RUN_ID": self.run_id, **(environment or {})},
        )

    def open(self) -> process.Process:
        self.opened.append(process.open({"state_directory": str(self.root), "host": "here"}))
        return self.opened[-1]

    def start(self, adapter: process.Process, command: Sequence[str], **more: Any) -> str:
        wanted = self.job(command, **more)
        sent = Submission(self.run_id, wanted.attempt, wanted.submit_seq, adapter.request(wanted), self.token)
        outcome = adapter.submit(sent)
        assert isinstance(outcome, Accepted), outcome
        return outcome.handle

    def attempt(self, handle: str = handle) -> folders.Attempt:
        found = folders.by_handle(self.root, handle)
        assert found is not None
        return found

    def shim(self, handle: str = handle) -> int:
        """The pid of the shell, once its command has begun."""
        self.eventually((self.root / handle / "begun").exists)
        who = self.attempt(handle).identity()
        assert who is not None
        return who.pid

    def see(self, handle: str = handle) -> Observation:
        return self.open().describe_many(self.target, [handle])[handle]

    def end(self, handle: str = handle) -> Observation:
        self.eventually(lambda: self.see(handle).phase is Phase.STOPPED)
        return self.see(handle)

    def left(self) -> list[int]:
        """Every process that came from here and lives."""
        return sorted(TABLE.marked(f"{MARK}={self.root / self.handle}"))

    def names(self) -> list[str]:
        """What those processes are; one that has not yet become its command has another's name."""
        found = []
        for pid in self.left():
            with contextlib.suppress(OSError):
                found.append(Path(f"/proc/{pid}/comm").read_text().strip())
        return found

    def close(self) -> None:
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.eventually(lambda: not self.left())
        for adapter in self.opened:
            adapter.close()
        shim.reap()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()
