"""Clients of AWS for this adapter, made when they are first needed: a request and an event need none."""

from __future__ import annotations

from threading import Lock
from typing import Any

from adapters import aws

PARALLEL = 32  # submissions at once: 20 RunTasks a second, were each to take a second and a half


class Clients:
    """One client a service and region. Without retries of its own, since no submission is repeated unasked."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def of(self, service: str, region: str) -> Any:
        """:raises Misconfigured: no region anywhere, or a profile that does not exist."""
        with self._lock:
            if (service, region) not in self._made:
                self._made[service, region] = aws.client(
                    service, region=region, connect_seconds=3, read_seconds=10, connections=PARALLEL
                )
            return self._made[service, region]
