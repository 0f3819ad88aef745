"""The scriptable cloud as a far side: its time is the proof's, and so nothing has to be waited for."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from dispatcher.testing.fake_cloud import TYPE, FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.far import CLOCK, Container
from dispatcher.testing.proof.shared_clock import SharedClock

HIDDEN_SECONDS = 30.0  # after trouble, so that what was started is submitted again before it can be found
STOP_SECONDS = 10.0  # so that a slot that is free before its container has ended can be taken meanwhile
START_SECONDS = 50.0  # after trouble, so that what was started is asked after before it can speak for itself

TEMPLATE: Mapping[str, Any] = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {"command": {"type": "string", "default": "job"}, "env": {"type": "object"}},
    },
}


def open(settings: Mapping[str, str]) -> FakeCloud:  # noqa: A001 - a dispatcher process calls it by this name
    """Settings: `path`, the far side's file, and `clock`, the proof's."""
    return FakeCloud(FarSide(Path(settings["path"]), now=SharedClock(Path(settings["clock"])).now))


class Scripted:
    """Containers are rows, and behave as they are told."""

    type = TYPE
    environment: ClassVar[Mapping[str, str]] = {}
    variables: ClassVar[Mapping[str, Any]] = {}
    faults = ("throttled", "denied", "timeout", "reply lost")
    template = TEMPLATE

    def __init__(self, path: Path, clock: SharedClock) -> None:
        self._clock = clock
        self.settings = {"path": str(path), "clock": str(clock.path)}
        self.side = FarSide(path, now=clock.now)
        self.side.behave(keeps=True, stop_seconds=STOP_SECONDS)

    def job(self, deployment: str) -> Mapping[str, Any]:
        del deployment  # they differ only in how they are told to behave
        return {}

    def seconds(self) -> float:
        return self._clock.now().timestamp()

    def containers(self) -> list[Container]:
        return [
            Container(
                name=start.handle, run_id=start.run_id, attempt=start.attempt, deployment=row["deployment"],
                token=json.loads(row["environment"])["PUSHPOOL_RUN_TOKEN"], began=row["at"], ended=row["ended"],
                is_up=bool(row["running"]),
            )
            for start in self.side.started()
            if (row := self.side.container(start.handle)) is not None
        ]  # fmt: skip

    def finish(self, name: str, exit_code: int) -> None:
        self.side.finish(name, exit_code)

    def crash(self, name: str) -> None:
        self.side.crash(name)

    def forget(self, name: str) -> None:
        self.side.lose(name)

    def restarted(self) -> Collection[str]:
        return ()

    def take_events(self) -> list[Mapping[str, Any]]:
        return list(self.side.take_events())

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        self.side.behave(start_seconds=START_SECONDS, visibility_delay=HIDDEN_SECONDS)
        self.side.fail_next(kind, times=times)

    def settle(self) -> None:
        """Time does it."""

    def left(self) -> list[str]:
        return self.side.live() + self.side.left()

    def close(self) -> None:
        self.side.close()


@contextmanager
def scripted(folder: Path) -> Iterator[Callable[[], Scripted]]:
    """A new cloud with each call."""
    numbers, clock = count(1), SharedClock(folder / CLOCK)
    yield lambda: Scripted(folder / f"far-{next(numbers)}.db", clock)
    clock.close()
