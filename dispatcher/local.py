"""An agent of this machine, with everything that it needs here."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dispatcher import registry, wiring
from dispatcher.agent import Agent, Scope, Watched
from dispatcher.context import Context
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from dispatcher.http.server import LocalServer


class LocalHost:
    """Serves the API for callbacks, unless another process of the installation does; takes over when it is gone."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context, self._settings = context, settings
        self._server: LocalServer | None = None

    def ensure(self) -> None:
        from dispatcher.http.server import AlreadyServed

        if self._server is None:
            with suppress(AlreadyServed):
                self.serve()

    def serve(self) -> LocalServer:
        """:raises AlreadyServed: another process does. :raises Misconfigured: the port is taken by something else."""
        from dispatcher.http.api import Api
        from dispatcher.http.server import LocalServer

        server = LocalServer(Api(self._context), self._settings.host, self._settings.port)
        server.start()
        self._server = server
        return server

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """An agent with everything that it needs on this machine."""

    context: Context
    agent: Agent
    host: LocalHost


@contextmanager
def local_agent(settings: Settings, scope: Scope) -> Iterator[LocalAgent]:
    """An agent of this machine, ready to `run`; closed in order when the block ends."""
    settings = replace(settings, port=settings.port or _free_port(settings.host))  # containers are told it before
    made: list[LocalAgent] = []
    timers = registry.load("timers", registry.TIMERS)(lambda pool, hops: made[0].agent.over(pool, hops))  # noqa: PLW0108  # made below
    loaded = Watched(lambda: made[0].context, wiring.infrastructures(settings))
    context = wiring.context_of(settings, timers, infrastructure=loaded)
    host = LocalHost(context, settings)
    agent = Agent(context, scope, None if settings.public_url else host)
    made.append(LocalAgent(context, agent, host))
    asked = wiring.neighbours(settings)
    asked.listen(timers.wake)
    try:
        yield made[0]
    finally:
        asked.close()
        timers.close()
        agent.close()
        loaded.close()


def _free_port(host: str) -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port: int = probe.getsockname()[1]
        return port
