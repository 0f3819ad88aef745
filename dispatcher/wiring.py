"""Settings into parts, put together: the composition root of everything that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

from dispatcher import api_keys, registry
from dispatcher import settings as environment
from dispatcher.context import Context
from dispatcher.errors import Misconfigured, StoreUnusable
from dispatcher.ports import Infrastructure, Store, Waker
from dispatcher.secret_values import LookUp, Remembered
from dispatcher.settings import Settings
from dispatcher.tokens import FetchedKeys, KeyRing, Keys
from dispatcher.watch import Patience

Load: TypeAlias = Callable[[str], Infrastructure]

TOKEN_KEYS, JOB_SECRETS = "token-keys", "secrets"
TOKENS = {"modal_token": "modal-token"}  # of clouds that know no other credentials: what adapters call it, the secret


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def context_of(settings: Settings, waker: Waker, *, infrastructure: Load | None = None) -> Context:
    """Everything in this process, on the store that the settings name.

    :raises StoreUnusable: the home or the store cannot be used. :raises Misconfigured: keys or the store's address.
    """
    if settings.store.startswith("sqlite://"):
        _make_home(settings.home)
    beat = settings.heartbeat
    secrets = registry.secrets(settings.secrets) if settings.secrets is not None else None
    clock = WallClock()
    return Context(
        store=registry.store(settings.store),
        infrastructure=infrastructure or infrastructures(settings),
        waker=waker,
        keys=_keys(settings, secrets, clock),
        clock=clock,
        api_url=settings.public_url or settings.local_url,
        patience=Patience(
            heartbeat=beat,
            heartbeat_grace=beat * 2.5,
            retention=settings.retention,
            hears=settings.events | {"process"},  # which tells its own process
        ),
        secret=_job_secret(secrets, clock) if secrets is not None else partial(_local_job_secret, settings),
    )


def deployed(settings: Settings) -> Context:
    """What a cloud function works with: nothing of it is of this machine.

    :raises Misconfigured: the environment lacks something, which it names.
    """
    wanted = {
        "PUSHPOOL_PUBLIC_URL": settings.public_url,
        "PUSHPOOL_SECRETS": settings.secrets,
        "PUSHPOOL_WAKER": settings.waker,
    }
    for name, value in wanted.items():
        if value is None:
            raise Misconfigured(f"{name} is not set: a function needs it, and Terraform's module sets it")
    assert settings.waker is not None
    return context_of(settings, registry.waker(settings.waker))


def visiting(settings: Settings) -> Context:
    """For a command of this machine: what it changes is told to those who make the passes."""
    waker = registry.waker(settings.waker) if settings.waker is not None else neighbours(settings)
    return context_of(settings, waker)


def neighbours(settings: Settings) -> Any:
    """The waker that asks the agents of this machine that share the store."""
    path = settings.store.partition("://")[2]
    folder = Path(path).parent if settings.store.startswith("sqlite://") else settings.home
    return registry.load("neighbours", registry.NEIGHBOURS)(folder)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnusable(f"{home} cannot be used ({exc.strerror}); set PUSHPOOL_HOME to a folder of yours") from exc


class _Told(Mapping[str, str]):
    """What adapters are told. A cloud's own token is looked up when it is asked for, and may be none."""

    def __init__(self, settings: Settings) -> None:
        self._plain = {
            "state_directory": str(settings.home / "attempts"),
            "cloud_run_writes_per_minute": str(settings.cloud_run_writes),
            "aci_creates_per_hour": str(settings.aci_creates_per_hour),
            "aci_creates_per_five_minutes": str(settings.aci_creates_per_five_minutes),
        }
        self._settings = settings

    def __getitem__(self, name: str) -> str:
        """:raises KeyError: not told. :raises Misconfigured: :raises Unreachable: a token cannot be looked up."""
        return self._token(TOKENS[name]) if name in TOKENS else self._plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._plain, *TOKENS))

    def __len__(self) -> int:
        return len(self._plain) + len(TOKENS)

    def _token(self, secret: str) -> str:
        """A machine may have none: then the cloud's own client knows one, or nobody does."""
        if self._secrets is not None:
            return self._secrets(secret)
        if environment.has_secret(self._settings, secret):
            return environment.secret(self._settings, secret)
        raise KeyError(secret)

    @cached_property
    def _secrets(self) -> LookUp | None:
        return registry.secrets(self._settings.secrets) if self._settings.secrets is not None else None


def infrastructures(settings: Settings) -> Load:
    """Pool type → its adapter, loaded on first use and kept."""
    told = _Told(settings)

    @cache
    def of(kind: str) -> Infrastructure:
        return registry.infrastructure(kind, told)

    return of


def _keys(settings: Settings, secrets: LookUp | None, clock: WallClock) -> Keys:
    """From the environment, from the installation's secrets, or from a file that the first to come makes."""
    if settings.token_keys is not None:
        return KeyRing.parse(settings.token_keys)
    if secrets is not None:
        return FetchedKeys(lambda: secrets(TOKEN_KEYS), clock.now)
    _make_home(settings.home)
    file = settings.home / "token-keys"
    _write_once(file, KeyRing.generate().to_text())
    return KeyRing.parse(file.read_text())


def _local_job_secret(settings: Settings, name: str) -> str:
    """The dispatcher's own tokens are kept beside those of jobs, and no job may have them."""
    if name.lower().replace("_", "-") in TOKENS.values():
        raise Misconfigured(f"secret {name!r} is the dispatcher's own, and no job may have it; name another")
    return environment.secret(settings, name)


def _job_secret(secrets: LookUp, clock: WallClock) -> LookUp:
    """Jobs have a folder of their own: no job variable can name the keys that tokens are signed with."""
    return Remembered(lambda name: secrets(f"{JOB_SECRETS}/{name}"), clock.now)


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
