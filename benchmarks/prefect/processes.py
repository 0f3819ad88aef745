"""Programs that are up while a block lasts, and nothing of them left afterwards."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.prefect.standing import marked
from dispatcher.testing.servers.processes import serving

_MARK = "PUSHPOOL_BENCH"
_START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is thrown away, and the environment of all that is started."""

    folder: Path
    environment: Mapping[str, str]

    @contextmanager
    def running(
        self, name: str, command: Sequence[str], is_up: Callable[[], bool], environment: Mapping[str, str]
    ) -> Iterator[int]:
        """Its process id; its output is in NAME.log."""
        whole = {**self.environment, **environment}
        log = self.folder / f"{name}.log"
        with serving(
            command, log=log, is_up=is_up, environment=whole, folder=self.folder, seconds=_START_SECONDS
        ) as it:
            yield it.pid


@contextmanager
def place() -> Iterator[Place]:
    """What was started there and is still running when the block ends is killed, runs too."""
    mark = f"{_MARK}={secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environment = {"PATH": os.environ["PATH"], "HOME": name, "TMPDIR": name, **dict([mark.split("=")])}
        try:
            yield Place(folder, environment)
        finally:
            for pid in marked(mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def answers(url: str) -> bool:
    """Whether a GET of it says yes."""
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False
