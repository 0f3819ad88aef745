"""PostgreSQL, as this machine has it: the database that Prefect's documents recommend for production."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prefect.processes import Place
from dispatcher.testing.servers.processes import free_port, listens

_NOBODY = 65534  # it refuses to run as root


@dataclass(frozen=True, slots=True)
class Database:
    """Empty, on a server of its own."""

    url: str
    pid: int


def program(name: str) -> str | None:
    """Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def version() -> str:
    """Of what `postgresql` starts; empty if it is not installed."""
    found = program("postgres")
    return subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout if found else ""


@contextmanager
def postgresql(place: Place) -> Iterator[Database | None]:
    """With its own default settings; None where it is not installed."""
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        yield None
        return
    data, port = place.folder / "postgres", free_port()
    data.mkdir()
    if os.geteuid() == 0:
        place.folder.chmod(0o711)
        os.chown(data, _NOBODY, _NOBODY)
    made = _as_nobody([initdb, "--auth=trust", "--username=prefect", "--no-sync", str(data)])
    subprocess.run(made, env=dict(place.environment), cwd=data, check=True, capture_output=True)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", f"unix_socket_directories={data}"]
    command = _as_nobody([postgres, "-D", str(data), *options])
    with place.running("postgres", command, lambda: listens(port), {}) as pid:
        yield Database(f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres", pid)


def _as_nobody(command: Sequence[str]) -> list[str]:
    """`setpriv` takes its place by the command, so that the process id stays."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *command]
