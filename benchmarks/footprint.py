"""What entry points cost to import (seconds, resident memory), and what a standing agent holds and burns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Row

ENTRIES = {
    "the core (dispatcher.dispatch)": "dispatcher.dispatch",
    "the API (dispatcher.http.api)": "dispatcher.http.api",
    "the command (dispatcher.cli.app)": "dispatcher.cli.app",
    "the runner (dispatcher.runner)": "dispatcher.runner",
}
MARKS = {"dispatcher.dispatch": "≤ 0.25 s"}
SETTLE_SECONDS, IDLE_SECONDS = 5, 20
_PROBE = """
import os, sys, time
start = time.perf_counter(); __import__(sys.argv[1]); took = time.perf_counter() - start
print(took, os.popen(f"ps -o rss= -p {os.getpid()}").read())
"""


def rows() -> Iterator[Row]:
    for what, module in ENTRIES.items():
        found = sorted(_probe(module) for _ in range(5))
        seconds, kib = found[len(found) // 2]
        yield Row(f"import of {what}", f"{seconds:.2f} s, {kib / 1024:.0f} MiB", MARKS.get(module, ""))
    yield from _standing()


def _probe(module: str) -> tuple[float, int]:
    said = subprocess.run([sys.executable, "-c", _PROBE, module], capture_output=True, text=True, check=True).stdout
    seconds, resident = said.split()
    return float(seconds), int(resident)


def _standing() -> Iterator[Row]:
    """A standing agent's resident memory and CPU while nothing is due; read from /proc, so on Linux only."""
    if not Path("/proc/self/status").exists():
        yield Row("standing agent", "not measured: needs Linux's /proc", "≤ 60 MB")
        return
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as home:
        environment = {**os.environ, "PUSHPOOL_HOME": home, "PUSHPOOL_PORT": "0"}
        command = [str(Path(sys.executable).with_name("pushpool")), "agent", "start"]
        agent = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(SETTLE_SECONDS)
            before = _cpu(agent.pid)
            time.sleep(IDLE_SECONDS)
            burnt = _cpu(agent.pid) - before
            status = Path(f"/proc/{agent.pid}/status").read_text()
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(timeout=20)
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    yield Row("standing agent, resident", f"{resident / 1024:.0f} MiB", "≤ 60 MB")
    yield Row(f"standing agent, CPU in {IDLE_SECONDS} idle s", f"{burnt:.2f} s", "near zero")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
