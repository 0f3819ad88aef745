"""This machine as a far side: each life has a state directory of its own, which is read as it lies there."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from dispatcher.testing.proof.clouds.gated import Gated, Key, Sight, wait_until_none

SHELL_SECONDS = 0.1  # in which a shell that was started is to be seen in the machine's table
SIGNAL_SECONDS = 0.5  # in which a command that was told to stop has done so


@contextmanager
def process(folder: Path) -> Iterator[Callable[[], Machine]]:
    numbers = count(1)
    yield lambda: Machine(folder / f"state-{next(numbers)}")


class Machine(Gated):
    """A folder for each attempt, `RUN/ATTEMPT-SEQ`: in `process` its shell's pid, in `exit` how its command ended."""

    type = "process"

    def __init__(self, folder: Path) -> None:
        settings = {"state_directory": str(folder), "host": "here", "log_retention_days": "0"}
        super().__init__(variables={"grace_seconds": 0}, settings=settings, python=sys.executable)
        self._folder = folder
        self._looked: dict[Path, float] = {}  # when a claim was first seen that has no shell
        self._ended: set[Path] = set()  # those are not looked at again

    def crash(self, name: str) -> None:
        """The shell goes with its command, so that no exit code is written: as when the machine goes down."""
        for folder in self._of(self.key(name)):
            _kill(folder)
        self.wait_for_end(name)

    def forget(self, name: str) -> None:
        for folder in self._of(self.key(name)):
            _kill(folder)
            shutil.rmtree(folder)
        self.wait_for_end(name)

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        raise ValueError(f"{kind}, {times} times: nothing stands between a dispatcher and its own machine")

    def see(self) -> Sight:
        sights = {folder: self._state(folder) for folder in self._attempts() if folder not in self._ended}
        self._ended |= {folder for folder, state in sights.items() if state == "gone"}
        live = [_key(folder) for folder, state in sights.items() if state == "live"]
        return Sight(live, [f"{state} {folder}" for folder, state in sights.items() if state in ("starting", "ending")])

    def left(self) -> list[str]:
        return [str(folder.relative_to(self._folder)) for folder in self._attempts()]

    def close(self) -> None:
        for folder in self._attempts():
            _kill(folder)
        super().close()
        wait_until_none(lambda: ", ".join(str(folder) for folder in self._attempts() if _shell(folder)))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _attempts(self) -> list[Path]:
        return sorted(self._folder.glob("*/*-*"))

    def _of(self, key: Key) -> list[Path]:
        return [folder for folder in self._attempts() if _key(folder) == key]

    def _state(self, folder: Path) -> str:
        """Of `starting`, `live`, `ending`, `gone`."""
        if not (folder / "begun").exists():  # first of all, for it is written after the shell's pid
            return "starting" if self._may_begin(folder) else "gone"
        if _exit(folder).endswith("\n") or not _shell(folder):
            return "gone"
        return "ending" if _age(folder / "cancel") < SIGNAL_SECONDS else "live"

    def _may_begin(self, folder: Path) -> bool:
        """Whether a shell is on its way; if the dispatcher was killed before it started one, time goes on here too."""
        since = self._looked.setdefault(folder, time.monotonic())
        if time.monotonic() < since + SHELL_SECONDS or _is_named(folder):
            return True
        with contextlib.suppress(FileNotFoundError):
            os.utime(folder, (0, 0))
        return False


def _exit(folder: Path) -> str:
    try:
        return (folder / "exit").read_text()
    except FileNotFoundError:
        return ""


def _age(file: Path) -> float:
    """In seconds; without end if it is not there."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _is_named(folder: Path) -> bool:
    """Whether a process was told of it as it was started."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in each.read_bytes().split(b"\0"):
                return True
    return False


def _shell(folder: Path) -> int | None:
    """Its pid, while it lives. Another process may have that by now: this one knows its folder."""
    try:
        pid = int((folder / "process").read_text().split()[0])
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, IndexError):
        return None
    return pid if f"PUSHPOOL_ATTEMPT_FOLDER={folder}".encode() in environment else None


def _kill(folder: Path) -> None:
    """With all that it has started; they are one group."""
    pid = _shell(folder)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _key(folder: Path) -> Key:
    return folder.parent.name, int(folder.name.partition("-")[0])
