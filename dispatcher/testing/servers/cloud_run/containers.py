"""A task's container as a process of this machine, which is told what the container would be, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from dispatcher import runner
from dispatcher.testing.servers.cloud_run.conditions import CANCELLED, EXITED, OUT_OF_MEMORY, TIMED_OUT, Ending

_LINKED = ("/usr/local/bin", "/usr/bin", "/bin")


def shims(folder: Path) -> Path:
    """What comes first on the PATH of every container: `pushpool-run` and `python`, as images of ours have them."""
    folder.mkdir(parents=True, exist_ok=True)
    python = shlex.quote(sys.executable)
    commands = {"pushpool-run": f"{python} {shlex.quote(str(runner.__file__))}", "python": python, "python3": python}
    for name, command in commands.items():
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        file.chmod(0o755)
    return folder


class Container:
    """One try of a task. `end` waits for it; the others may come from any thread, before it has started too."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, bin_folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._argv, self._folder = list(argv), folder
        path = ":".join([str(bin_folder), *_LINKED])
        self._environment = {"PATH": path, "HOME": str(folder), **environment}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._why = ""
        self._ended = threading.Event()

    @property
    def log(self) -> str:
        file = self._folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def end(self, timeout: float | None, grace: float) -> Ending:
        """Starts it and waits until it has ended, by itself or by what was asked for meanwhile."""
        with self._lock:
            if self._why:
                return Ending(message=self._why)
            try:
                self._process = self._start()
            except OSError as exc:
                return Ending(127 if isinstance(exc, FileNotFoundError) else 126, message=f"{EXITED} {exc.strerror}")
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop(TIMED_OUT, grace)
            self._process.wait()
        self._ended.set()
        self._signal(signal.SIGKILL)  # what it has left behind
        return self._ending(self._process.returncode)

    def stop(self, why: str, grace: float) -> None:
        """SIGTERM, and after the grace SIGKILL (manual, "Cancel job executions"); returns at once."""
        with self._lock:
            if self._why or self._ended.is_set():
                return
            self._why = why
            if self._process is None:
                return
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

        def kill() -> None:
            if not self._ended.wait(grace):
                self._signal(signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()

    def cancel(self, grace: float) -> None:
        self.stop(CANCELLED, grace)

    def run_out_of_memory(self) -> None:
        """As the kernel deals with it."""
        with self._lock:
            self._why = self._why or OUT_OF_MEMORY
        self._signal(signal.SIGKILL)

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as output:
            return subprocess.Popen(
                self._argv, env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True, executable=self._executable(),
            )  # fmt: skip

    def _executable(self) -> str | None:
        """Popen would look for it on our own PATH."""
        for folder in self._environment["PATH"].split(":"):
            if "/" not in self._argv[0] and os.access(f"{folder}/{self._argv[0]}", os.X_OK):
                return f"{folder}/{self._argv[0]}"
        return None if "/" in self._argv[0] else f"/nonexistent/{self._argv[0]}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _ending(self, returncode: int) -> Ending:
        if self._why == CANCELLED:
            return Ending(signal=signal.SIGTERM, message=CANCELLED)
        if self._why:
            return Ending(0, message=self._why)
        if returncode < 0:
            return Ending(signal=-returncode, message=f"Container terminated on signal {-returncode}.")
        return Ending(returncode, message=EXITED if returncode else "")
