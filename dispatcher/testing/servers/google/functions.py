"""A function of `infra/gcp` as a process: functions-framework with the server that Google runs it with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dispatcher.testing.servers.processes import Missing, free_port, listens, serving

_CHECKOUT = Path(__file__).parents[4]


@dataclass(frozen=True, slots=True)
class Function:
    """One that is served at `url`."""

    url: str
    pid: int

    def pids(self) -> list[int]:
        """Of the server and of its workers, while they live: who kills the one must kill the others."""
        told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        return [
            pid for pid, parent in (map(int, line.split()) for line in told.splitlines()) if self.pid in (pid, parent)
        ]


@contextmanager
def function(
    target: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    source: Path | None = None,
    port: int | None = None,
) -> Iterator[Function]:
    """It serves while the block lasts; its log is `folder`/`target`.log. `environment` is all that it is told.

    `source`: a folder with main.py, such as the unpacked archive; the checkout's if none is given.

    :raises Missing: :raises Broken:
    """
    main = (source or _CHECKOUT / "infra" / "gcp") / "main.py"
    if not main.exists():
        raise Missing(f"{main} is not there: a function needs a checkout, or the archive of `make package-gcp`")
    port = port or free_port()
    command = [sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(port)]
    told = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    # As the platform sets them ("Cloud Run functions", environment variables).
    told |= {
        "FUNCTION_TARGET": target,
        "FUNCTION_SIGNATURE_TYPE": "http",
        "FUNCTION_SOURCE": str(main),
        "K_SERVICE": target,
    }
    log = folder / f"{target}.log"
    environment = {**told, **environment}
    with serving(command, log=log, is_up=lambda: listens(port), environment=environment, folder=main.parent) as server:
        yield Function(f"http://127.0.0.1:{port}", server.pid)
