"""Who uses an installation from outside, as people do: over HTTP with a key, and by command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]

ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_KEPT = ("PATH", "HOME", "LANG")  # of this process's environment; nothing else of the machine is to matter


class Visitor:
    """`environment`: that of the visitor's shell, PUSHPOOL_API_URL and PUSHPOOL_API_KEY among it.

    `said`: the end of the installation's log, for who waits in vain.
    """

    patience_seconds = 60.0

    def __init__(self, folder: Path, environment: Mapping[str, str], said: Callable[[], str]) -> None:
        self.folder, self.environment, self._said = folder, environment, said

    def pushpool(self, *words: str, **environment: str) -> str:
        """What the command says."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("pushpool")), *words], cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, env={**kept, **self.environment, **environment},
        )  # fmt: skip
        assert done.returncode == 0, f"pushpool {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def http(self, method: str, path: str, body: Json | None = None, *, key: str | None = None) -> httpx.Response:
        key = self.environment["PUSHPOOL_API_KEY"] if key is None else key
        url = f"{self.environment['PUSHPOOL_API_URL']}{path}"
        return httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def start(self, deployment: str, **form: Any) -> str:
        """The id of a new run."""
        made = self.http("POST", f"/v1/deployments/{deployment}/runs", form)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def run(self, run_id: str) -> Json:
        shown = self.http("GET", f"/v1/runs/{run_id}")
        assert shown.status_code == 200, shown.text
        found: Json = shown.json()
        return found

    def until(self, run_id: str, is_so: Callable[[Json], bool]) -> Json:
        """The run as soon as it is so."""
        end = time.monotonic() + self.patience_seconds
        while not is_so(run := self.run(run_id)):
            assert time.monotonic() < end, (
                f"not so after {self.patience_seconds:g} s: {json.dumps(run, indent=1)}\n{self._said()}"
            )
            time.sleep(0.1)
        return run

    def ended(self, run_id: str) -> Json:
        return self.until(run_id, lambda run: run["state_type"] in ENDED)

    def running(self, run_id: str) -> Json:
        return self.until(run_id, lambda run: run["state_type"] == "RUNNING")

    def named(self, run_id: str) -> str:
        """The handle of the run's first attempt; a container may speak before it is recorded."""
        run = self.until(run_id, lambda run: bool(run["attempts"] and run["attempts"][0]["handle"]))
        return str(run["attempts"][0]["handle"])
