"""Clients of Google's for this adapter, made when they are first needed: a request and an event need none.

They speak gRPC to the region's own endpoint. REST starts no faster, since the library imports both
(`benchmarks/cloud_run.py`).
"""

from __future__ import annotations

from importlib import import_module
from threading import Lock
from typing import Any

from adapters import google


class Clients:
    """One client a service and region. Whoever calls turns their retries off: no submission is repeated unasked."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def jobs(self, region: str) -> Any:
        """:raises Misconfigured: no credentials."""
        return self._of("JobsClient", region)

    def executions(self, region: str) -> Any:
        """:raises Misconfigured: no credentials."""
        return self._of("ExecutionsClient", region)

    def tasks(self, region: str) -> Any:
        """:raises Misconfigured: no credentials."""
        return self._of("TasksClient", region)

    def _of(self, kind: str, region: str) -> Any:
        with self._lock:
            if (kind, region) not in self._made:
                library = import_module("google.cloud.run_v2")  # takes a while
                endpoint = f"{region}-run.googleapis.com"
                self._made[kind, region] = google.client(getattr(library, kind), endpoint=endpoint)
            return self._made[kind, region]

    def close(self) -> None:
        with self._lock:
            for made in self._made.values():
                made.transport.close()
            self._made.clear()
