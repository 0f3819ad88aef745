"""Which process is which, and all that belongs to one.

Invariant: a pid counts only together with its birth, so a reused one is neither believed nor signalled.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good: its pid, and when it was born, in the words of this system."""

    pid: int
    birth: str


@dataclass(frozen=True, slots=True)
class Row:
    """A living process."""

    identity: Identity
    parent: int
    session: int


class Table(Protocol):
    """The processes of this machine; zombies are not among them.

    :raises OSError: they cannot be looked at: that says nothing of them.
    """

    def birth(self, pid: int) -> str | None: ...

    def rows(self) -> Mapping[int, Row]: ...

    def marked(self, mark: str) -> set[int]:
        """Those whose environment holds `mark` (NAME=value), as far as this system tells."""
        ...


class ProcTable:
    """Linux: /proc. A birth is the boot's id and the clock tick since then."""

    def birth(self, pid: int) -> str | None:
        row = self._row(pid)
        return row.identity.birth if row else None

    def rows(self) -> Mapping[int, Row]:
        found = (self._row(int(name)) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208 - thrice as fast
        return {row.identity.pid: row for row in found if row}

    def marked(self, mark: str) -> set[int]:
        return {int(name) for name in os.listdir(PROC) if name.isdigit() and self._has(name, mark)}  # noqa: PTH208

    def _has(self, name: str, mark: str) -> bool:
        try:
            return os.fsencode(mark) in (PROC / name / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _row(self, pid: int) -> Row | None:
        try:
            stat = (PROC / str(pid) / "stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # After the name, which may hold anything: state, parent, group, session, …, the tick of its birth.
        state, parent, _, session, *rest = stat[stat.rindex(b")") + 1 :].split()
        if state in {b"Z", b"X"}:
            return None
        birth = f"{_boot()} {rest[15].decode()}".strip()
        return Row(Identity(pid, birth), int(parent), int(session))


@functools.cache
def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class PsTable:
    """Any other system: ps. A birth is a date, to the second."""

    def birth(self, pid: int) -> str | None:
        lines = self._ps("-o", "stat=,lstart=", "-p", str(pid))
        state, _, birth = lines[0].strip().partition(" ") if lines else ("Z", "", "")
        return None if state.startswith("Z") else " ".join(birth.split())

    def rows(self) -> Mapping[int, Row]:
        rows = {}
        for line in self._ps("-axo", "pid=,ppid=,stat=,lstart="):
            number, parent, state, *birth = line.split()
            pid = int(number)
            with contextlib.suppress(OSError):
                if not state.startswith("Z"):
                    rows[pid] = Row(Identity(pid, " ".join(birth)), int(parent), os.getsid(pid))
        return rows

    def marked(self, mark: str) -> set[int]:
        del mark
        return set()

    def _ps(self, *options: str) -> list[str]:
        environment = {"PATH": "/bin:/usr/bin", "LC_ALL": "C", "TZ": "UTC0"}
        done = subprocess.run(["ps", *options], env=environment, capture_output=True, text=True, check=False)
        if done.returncode and done.stderr:  # no such process is a code without a word
            raise OSError(errno.EIO, done.stderr.strip())
        return done.stdout.splitlines()


TABLE: Table = ProcTable() if (PROC / "self/stat").exists() else PsTable()


def is_alive(who: Identity, table: Table = TABLE) -> bool:
    return table.birth(who.pid) == who.birth


def family(root: Identity, mark: str, table: Table = TABLE) -> dict[int, Row]:
    """All that belongs to `root`, without itself: session, descendants and theirs, what is marked."""
    rows = {pid: row for pid, row in table.rows().items() if pid not in {1, os.getpid()}}
    lives = root.pid in rows and rows[root.pid].identity == root
    members = table.marked(mark) & rows.keys() | ({root.pid} if lives else set())
    while True:
        sessions = {pid for pid in members if rows[pid].session == pid}
        found = {pid for pid, row in rows.items() if row.parent in members or row.session in sessions}
        if found <= members:
            return {pid: rows[pid] for pid in members if rows[pid].identity != root}
        members |= found


def kill_family(root: Identity, mark: str, table: Table = TABLE) -> bool:
    """SIGKILL to the family; False if there was none. It is frozen first: nothing is born meanwhile."""
    frozen: dict[int, Row] = {}
    while new := {pid: row for pid, row in family(root, mark, table).items() if pid not in frozen}:
        for row in new.values():
            send(row.identity, signal.SIGSTOP, table)
        frozen |= new
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return bool(frozen)


def send(who: Identity, number: signal.Signals, table: Table = TABLE) -> None:
    if is_alive(who, table):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(who.pid, number)


def send_group(leader: Identity, number: signal.Signals, table: Table = TABLE) -> None:
    """To the process group that `leader` leads, while it lives."""
    if is_alive(leader, table):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, number)
