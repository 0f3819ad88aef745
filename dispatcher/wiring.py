"""Settings into parts, put together: the composition root of everything that runs on a laptop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dispatcher import api_keys, registry
from dispatcher import settings as environment
from dispatcher.agent import Agent, Scope, Watched
from dispatcher.context import Context
from dispatcher.errors import Misconfigured, StoreUnusable
from dispatcher.ports import Infrastructure, Store, Waker
from dispatcher.settings import Settings
from dispatcher.tokens import KeyRing
from dispatcher.watch import Patience

if TYPE_CHECKING:
    from dispatcher.http.server import LocalServer

Load: TypeAlias = Callable[[str], Infrastructure]


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def local(settings: Settings, waker: Waker, *, infrastructure: Load | None = None) -> Context:
    """Everything in this process, on the store that the settings name.

    :raises StoreUnusable: the home or the store cannot be used. :raises Misconfigured: keys or the store's address.
    """
    _make_home(settings.home)
    beat = settings.heartbeat
    return Context(
        store=registry.store(settings.store),
        infrastructure=infrastructure or infrastructures(settings),
        waker=waker,
        keys=_keys(settings),
        clock=WallClock(),
        api_url=settings.public_url or settings.local_url,
        patience=Patience(heartbeat=beat, heartbeat_grace=beat * 2.5, retention=settings.retention),
        secret=partial(environment.secret, settings),
    )


def neighbours(settings: Settings) -> Any:
    """The waker that asks the agents of this machine that share the store."""
    path = settings.store.partition("://")[2]
    folder = Path(path).parent if settings.store.startswith("sqlite://") else settings.home
    return registry.load("neighbours", registry.NEIGHBOURS)(folder)


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
    loaded = Watched(lambda: made[0].context, infrastructures(settings))
    context = local(settings, timers, infrastructure=loaded)
    host = LocalHost(context, settings)
    agent = Agent(context, scope, None if settings.public_url else host)
    made.append(LocalAgent(context, agent, host))
    asked = neighbours(settings)
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


def _make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnusable(f"{home} cannot be used ({exc.strerror}); set PUSHPOOL_HOME to a folder of yours") from exc


def infrastructures(settings: Settings) -> Load:
    """Pool type → its adapter, loaded on first use and kept."""

    @cache
    def of(kind: str) -> Infrastructure:
        return registry.infrastructure(kind, {"state_directory": str(settings.home / "attempts")})

    return of


def _keys(settings: Settings) -> KeyRing:
    """From the environment, or from a file beside the store that the first to come makes."""
    if settings.token_keys is not None:
        return KeyRing.parse(settings.token_keys)
    file = settings.home / "token-keys"
    _write_once(file, KeyRing.generate().to_text())
    return KeyRing.parse(file.read_text())


def local_api_key(settings: Settings, store: Store, now: datetime) -> str:
    """The admin key of this machine's user, made on first use and kept in a file that only they can read."""
    file = settings.home / "api-key"
    if file.exists():
        return file.read_text().strip()
    _, key = api_keys.create(store, "local", api_keys.Scope.ADMIN, now=now)
    _write_once(file, key)
    return file.read_text().strip()


def _write_once(file: Path, text: str) -> None:
    """Written whole or not at all, by one of however many try."""
    if file.exists():
        return
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(text)
        os.link(draft, file)
    except FileExistsError:
        pass
    except OSError as exc:
        raise Misconfigured(f"{file} cannot be written ({exc.strerror}); set PUSHPOOL_HOME") from exc
    finally:
        draft.unlink(missing_ok=True)
