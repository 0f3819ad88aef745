"""The folder of an attempt: the claim of its submission, and all that is known of it, for whoever comes next.

<state directory>/<run id>/<attempt>-<submit_seq>/
    output.log, about.json (name, labels, grace_seconds), cancel (since when it is to stop), told (its end was)
    and what the shell writes: process, begun, exit (see `shim`)
<state directory>/host
    whose it is; without it this is some other folder, and nothing can be said of what is not in it
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters.infrastructure.process.processes import Identity, is_alive
from adapters.infrastructure.process.rendering import GRACE_SECONDS

HOST = "host"
PATIENCE_SECONDS = 5.0  # from the claim to the shell's first word; later means that there is no shell
TAIL_BYTES, TAIL_LINES = 4096, 20

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HANDLE = re.compile(rf"({_RUN.pattern})/(\d+)-(\d+)")


class Stage(StrEnum):
    """How far an attempt is, as its folder and the machine say."""

    MISSING = "missing"
    CLAIMED = "claimed"  # its shell has not said anything yet
    ALIVE = "alive"
    EXITED = "exited"  # with a code
    VOID = "void"  # given up before its command began
    LOST = "lost"  # gone without an exit code


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt's folder; `handle` is its path below the state directory."""

    root: Path
    handle: str

    @property
    def folder(self) -> Path:
        return self.root / self.handle

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    @property
    def run_id(self) -> str:
        return self.handle.partition("/")[0]

    @property
    def number(self) -> int:
        return int(self.handle.partition("/")[2].partition("-")[0])

    def claim(self, about: Mapping[str, Any]) -> None:
        """:raises FileExistsError: it was claimed before. :raises OSError: the claim could not be made."""
        for _ in range(3):  # the state directory may be missing, the run's folder be cleaned up meanwhile
            make_private(self.folder.parent)
            with contextlib.suppress(FileNotFoundError):
                self.folder.mkdir(mode=0o700)
                break
        else:
            raise FileNotFoundError(str(self.folder))
        try:
            (self.folder / "about.json").write_text(json.dumps(about))
        except OSError:
            self.remove()
            raise

    def stage(self) -> Stage:
        if self.exit_line() is not None:
            return self._ending()
        if not self._exists("begun"):
            return self._unbegun()
        who = self.identity()  # after `begun`, before which it was written: else one that begins just now looks lost
        if who is not None and is_alive(who):
            return Stage.ALIVE
        return self._ending() if self.exit_line() is not None else Stage.LOST

    def _unbegun(self) -> Stage:
        try:
            claimed = self.folder.stat().st_mtime
        except FileNotFoundError:
            return Stage.MISSING
        if time.time() - claimed < PATIENCE_SECONDS:
            return Stage.CLAIMED
        return Stage.VOID if self.give_up() else self.stage()

    def _ending(self) -> Stage:
        return Stage.VOID if self.exit_line() == "void" else Stage.EXITED

    def give_up(self) -> bool:
        """Settles that the command never runs; False if it was settled before."""
        if not self._make("begun", ""):
            return False
        self._make("exit", "void\n")
        return True

    def mark_cancelled(self) -> float | None:
        """How many seconds ago it was first told to stop; None if this is the first time."""
        first = self._make("cancel", "")
        return None if first else max(0.0, time.time() - (self._time("cancel") or 0.0))

    @property
    def is_cancelled(self) -> bool:
        return self._exists("cancel")

    @property
    def is_told(self) -> bool:
        return self._exists("told")

    def mark_told(self) -> None:
        self._make("told", "")

    def grace_seconds(self) -> float:
        try:
            return float(json.loads((self.folder / "about.json").read_text())["grace_seconds"])
        except (FileNotFoundError, ValueError, KeyError):
            return GRACE_SECONDS  # whoever claimed it was killed before writing that

    def identity(self) -> Identity | None:
        pid, _, birth = (self._line("process") or "").partition(" ")
        return Identity(int(pid), birth) if pid else None

    def exit_line(self) -> str | None:
        return self._line("exit")

    def started(self) -> datetime | None:
        return _instant(self._time("begun"))

    def ended(self) -> datetime | None:
        return _instant(self._time("exit"))

    def tail(self) -> str:
        lines = self._end_of_log(TAIL_BYTES).splitlines(keepends=True)
        return "".join(lines[-TAIL_LINES:])

    def output(self, at_most: int) -> str:
        return self._end_of_log(at_most)

    def remove(self) -> None:
        """Removes the folder, and the run's if this was its last.

        :raises OSError: something of it is still there.
        """
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _end_of_log(self, at_most: int) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - at_most))
                return log.read(at_most).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def _line(self, name: str) -> str | None:
        """A file's only line; None while it is not there with its newline."""
        try:
            text = (self.folder / name).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return text.rstrip("\n") if text.endswith("\n") else None

    def _make(self, name: str, text: str) -> bool:
        """Makes the file, if nobody has."""
        try:
            with (self.folder / name).open("x") as made:
                made.write(text)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def _time(self, name: str) -> float | None:
        try:
            return (self.folder / name).stat().st_mtime
        except FileNotFoundError:
            return None


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def make_private(folder: Path) -> None:
    """Makes it, and the folder above it, for this user alone. :raises OSError: it cannot be made."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def handle_of(run_id: str, number: int, submit_seq: int) -> str:
    return f"{run_id}/{number}-{submit_seq}"


def by_handle(root: Path, handle: str) -> Attempt | None:
    """None if it is no handle of ours; so a handle never leads out of the state directory."""
    return Attempt(root, handle) if _HANDLE.fullmatch(handle) else None


def attempts(root: Path) -> Iterator[Attempt]:
    """Every attempt that has a folder."""
    for run in _folders(root):
        for folder in _folders(run):
            attempt = by_handle(root, f"{run.name}/{folder.name}")
            if attempt is not None:
                yield attempt


def _folders(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
