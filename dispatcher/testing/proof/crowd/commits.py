"""What became of every commit that dispatchers tried, in a file that outlives each of them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dispatcher.errors import Conflict, StoreUnavailable
from dispatcher.ports import Store
from dispatcher.testing.crashes import STORE_CALLS

_MADE = "made"


class Commits:
    """A log that any number of processes write to: a line is written at once or not at all, whoever is killed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, call: str, *, made: int = 0, wasted: int = 0, why: str = "lost") -> None:
        lines = f"{call} {_MADE}\n" * made + f"{call} {why}\n" * wasted
        os.write(self._file, lines.encode())

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Counts:
    """`wasted`: call and why → how many commits came to nothing because another was faster, or the store busy."""

    made: int
    wasted: Counter[str]


def counts(path: Path) -> Counts:
    lines = Counter(path.read_text().splitlines())
    made = sum(count for line, count in lines.items() if line.endswith(f" {_MADE}"))
    return Counts(made, Counter({line: count for line, count in lines.items() if not line.endswith(f" {_MADE}")}))


class _Counted:
    """Whatever stands behind, its commits counted."""

    def __init__(self, behind: Store, commits: Commits) -> None:
        self._behind, self._commits = behind, commits

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        if name not in STORE_CALLS:
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            try:
                result = found(*args, **kwargs)
            except (Conflict, StoreUnavailable) as exc:
                self._commits.note(name, wasted=1, why=type(exc).__name__)
                raise
            if name == "move_each":
                self._commits.note(name, made=len(args[0]) - len(result), wasted=len(result))
            else:
                self._commits.note(name, made=result is not False, wasted=result is False)
            return result

        return counted


def counted(store: Store, commits: Commits) -> Store:
    return cast("Store", _Counted(store, commits))
