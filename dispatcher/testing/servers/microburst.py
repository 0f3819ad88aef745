"""microburst: a proxy before an emulator of AWS that fails requests in AWS's own words, or cuts the line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.orders import order
from dispatcher.testing.servers.processes import free_port, installed, listens, serving


class FaultProxy:
    """Whoever has its `endpoint` for AWS's talks to the emulator, by the rules that hold."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def fail(self, service: str, operation: str, code: str, *, times: int = 1, **error: Any) -> None:
        """The next `times` requests get that error and have no effect.

        `error`: `status`, `message` and `fields`, the error's further members: `{"CancellationReasons": [...]}`.
        """
        self.rule(service=service, operation=operation, times=times, error={"code": code, **error})

    def cut(self, service: str, operation: str, *, times: int = 1, before: bool = False) -> None:
        """The next `times` requests have their effect and get no answer; none of both if `before`."""
        how: Mapping[str, Any] = {"reset": True} if before else {"response": {"abort_frac": 0.1}}
        self.rule(service=service, operation=operation, times=times, **how)

    def rule(self, **rule: Any) -> None:
        """One more of microburst's own rules."""
        self._ask("rules", [rule], "PATCH")

    def forget(self) -> None:
        """No rule holds any more."""
        self._ask("rules", [], "POST")

    def fired(self) -> list[dict[str, Any]]:
        """What was failed so far: `service`, `operation`, `action`."""
        return list(self._ask("fired", None, "GET"))

    def _ask(self, what: str, body: Any, method: str) -> Any:
        return order(f"{self.endpoint}/_microburst/{what}", body, method=method)


@contextmanager
def fault_proxy(folder: Path, upstream: str) -> Iterator[FaultProxy]:
    """A proxy before `upstream`, which need not be up yet; `folder` takes its log. :raises Missing: :raises Broken:"""
    program = installed("microburst", file="bin/microburst") / "bin/microburst"
    port = free_port()
    # Requests stay signed as they came: the emulator checks no host.
    command = [str(program), "--upstream", upstream, "--port", str(port), "--no-resign"]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)}
    with serving(command, log=folder / "microburst.log", is_up=lambda: listens(port), environment=environment):
        # A host with dots makes it look through the models of all services, for seconds and in 400 MiB.
        yield FaultProxy(f"http://localhost:{port}")
