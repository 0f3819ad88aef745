"""One server process: started on a free port, waited for, stopped by its own pid."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# It lives for minutes, in which compiling well costs more than it saves.
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class Missing(Exception):
    """The server is not installed here; the message says how to install it."""


class Broken(Exception):
    """The server did not come up; the message has the end of its output."""


def home() -> Path:
    """Where `make servers` has installed them."""
    return Path(os.environ.get("PUSHPOOL_SERVERS") or Path(__file__).parents[3] / ".servers").absolute()


def installed(name: str, *, file: str) -> Path:
    """The folder of one server. :raises Missing: it lacks that file."""
    folder = home() / name
    if not (folder / file).exists():
        raise Missing(f"{folder / file} is not there: `make servers` installs it")
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(
    command: Sequence[str],
    *,
    log: Path,
    is_up: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    seconds: float = 30,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process while the block lasts; its output goes to `log`. :raises Broken: it is not up in time."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
            env=dict(os.environ if environment is None else environment),
        )  # fmt: skip
    try:
        _wait(process, is_up, log, seconds)
        yield process
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], is_up: Callable[[], bool], log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_up():
        if process.poll() is not None or time.monotonic() > until:
            why = f"exited with {process.returncode}" if process.poll() is not None else f"not up after {seconds:g} s"
            tail = log.read_text(errors="replace")[-2000:]
            raise Broken(f"{process.args!r}: {why}\n{tail}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
