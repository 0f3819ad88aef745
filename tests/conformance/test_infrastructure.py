"""Every infrastructure passes the one suite, fakes too."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapters.infrastructure import process
from adapters.infrastructure.process import shim
from dispatcher.ports import Infrastructure, Job
from dispatcher.testing.fake_cloud import FakeCloud, TellingCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.infrastructure_suite import Cloud, InfrastructureSuite


def make_job(run_id: str, configuration: Mapping[str, Any], *, attempt: int, submit_seq: int) -> Job:
    return Job(
        pool="pool",
        run_id=run_id,
        run_name="brisk-otter",
        deployment="etl",
        attempt=attempt,
        submit_seq=submit_seq,
        configuration=configuration,
        environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt)},
    )


class Machine:
    """The hand on this machine: each command notes its start and its pid in a file."""

    errnos: ClassVar[Mapping[str, int]] = {
        "throttled": errno.EAGAIN,
        "denied": errno.ENOSPC,
        "rejected": errno.E2BIG,
        "timeout": errno.EIO,
    }

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.opened: list[process.Process] = []

    def open(self) -> Infrastructure:
        opened = process.open({"state_directory": str(self.folder / "attempts"), "host": "here"})
        self.opened.append(opened)
        return opened

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        script = 'echo $$ >> "$0"; printf "%s" "$1"; ' + ("exec sleep 60" if exits is None else f"exit {exits}")
        command = ["sh", "-c", script, str(self._starts(run_id)), prints]
        configuration = {"command": command, "runner": False, "grace_seconds": 1}
        return make_job(run_id, configuration, attempt=attempt, submit_seq=submit_seq)

    def started(self, run_id: str) -> int:
        return len(self._pids(run_id))

    def unknown_handle(self) -> str:
        return "4c7e1a52-0000-4000-8000-000000000000/1-1"

    def fail_next(self, kind: str) -> bool:
        if kind not in self.errnos:
            return False
        really = shim.start

        def start(*_: object) -> int:
            self.monkeypatch.setattr(shim, "start", really)
            raise OSError(self.errnos[kind], os.strerror(self.errnos[kind]))

        self.monkeypatch.setattr(shim, "start", start)
        return True

    def kill(self, handle: str) -> bool:
        run_id = handle.partition("/")[0]
        while not self._pids(run_id):
            time.sleep(0.01)
        os.kill(self._pids(run_id)[-1], signal.SIGKILL)
        return True

    def event(self, handle: str) -> None:
        return None

    def _starts(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.starts"

    def _pids(self, run_id: str) -> list[int]:
        starts = self._starts(run_id)
        return [int(line) for line in starts.read_text().split()] if starts.exists() else []

    def close(self) -> None:
        for opened in self.opened:
            opened.close()


class TestProcess(InfrastructureSuite):
    @pytest.fixture
    def cloud(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
        machine = Machine(tmp_path, monkeypatch)
        yield machine
        machine.close()


class FakeHand:
    """The hand on a fake cloud is the far side itself."""

    def __init__(self, path: Path, adapter: Callable[[FarSide], FakeCloud]) -> None:
        self.path = path
        self.adapter = adapter
        self.far = FarSide(path)
        self.opened: list[FakeCloud] = []

    def open(self) -> Infrastructure:
        opened = self.adapter(FarSide(self.path))
        self.opened.append(opened)
        return opened

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        fake = {"run_seconds": None if exits is None else 0, "exit_code": exits or 0, "output": prints}
        return make_job(run_id, {"fake": fake}, attempt=attempt, submit_seq=submit_seq)

    def started(self, run_id: str) -> int:
        return len(self.far.started(run_id))

    def unknown_handle(self) -> str:
        return "fake/9999"

    def fail_next(self, kind: str) -> bool:
        self.far.fail_next(kind)
        return True

    def kill(self, handle: str) -> bool:
        self.far.kill(handle)
        return True

    def event(self, handle: str) -> Mapping[str, Any] | None:
        events = self.far.take_events()
        return next(raw for raw in events if raw["handle"] == handle and raw["phase"] == "stopped")

    def close(self) -> None:
        for opened in self.opened:
            if isinstance(opened, TellingCloud):
                opened.close()
            opened.far.close()
        self.far.close()


class TestFakeCloud(InfrastructureSuite):
    @pytest.fixture
    def cloud(self, tmp_path: Path) -> Iterator[Cloud]:
        hand = FakeHand(tmp_path / "far.db", FakeCloud)
        yield hand
        hand.close()


class TestTellingCloud(InfrastructureSuite):
    @pytest.fixture
    def cloud(self, tmp_path: Path) -> Iterator[Cloud]:
        hand = FakeHand(tmp_path / "far.db", TellingCloud)
        yield hand
        hand.close()
