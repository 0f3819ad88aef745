"""What processes use of the machine, as Linux tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds so far: `own`, and `jobs`, those of the children that have ended. Memory in MiB.

    `divided`: memory with each page that several processes share divided among them (PSS).
    """

    own: float
    jobs: float
    resident: float
    divided: float


def use_of(pids: Sequence[int], families: Sequence[int] = ()) -> Use:
    """All of them together; of `families` the children too, which work for it and are no jobs."""
    each = [_use_of(pid) for pid in pids] + [one for pid in families for one in _family(pid)]
    return Use(
        own=sum(one.own for one in each),
        jobs=sum(one.jobs for one in each),
        resident=sum(one.resident for one in each),
        divided=sum(one.divided for one in each),
    )


def _use_of(pid: int) -> Use:
    user, system, child_user, child_system = (int(field) / _TICKS for field in _stat(pid)[11:15])
    memory = _kib(Path(f"/proc/{pid}/smaps_rollup"))
    return Use(user + system, child_user + child_system, memory["Rss"] / 1024, memory["Pss"] / 1024)


def _family(pid: int) -> Iterator[Use]:
    """Itself with what its former children have used, and each child that there is."""
    parent = _use_of(pid)
    yield replace(parent, own=parent.own + parent.jobs, jobs=0.0)
    for child in _children(pid):
        with suppress(OSError):  # it has ended meanwhile
            yield replace(_use_of(child), jobs=0.0)


def has_jobs(pids: Sequence[int]) -> bool:
    """Whether any of them has a child that has not ended."""
    return any(not _has_ended(child) for pid in pids for child in _children(pid))


def _has_ended(pid: int) -> bool:
    try:
        return _stat(pid)[0] == "Z"
    except OSError:
        return True


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in _text(thread).split()]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _kib(rollup: Path) -> dict[str, int]:
    lines = [line.split() for line in rollup.read_text().splitlines()[1:]]
    return {name.rstrip(":"): int(value) for name, value, *_ in lines}


def marked(mark: str) -> list[int]:
    """The processes that have `mark` in their environment, but this one."""
    found = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if mark in _text(folder / "environ")]
    return [pid for pid in found if pid != os.getpid()]


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # it has ended, or is another user's
        return ""
