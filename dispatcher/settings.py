"""Settings from the environment: the only reader of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dispatcher.errors import Misconfigured

DEFAULT_PORT = 4280


@dataclass(frozen=True, slots=True)
class Senders:
    """Who may push to a function, as their identity tokens (OpenID Connect) say.

    `signatures_removed`: the platform has checked each token, and hands it on without its signature.
    """

    audience: str | None = None
    accounts: frozenset[str] = frozenset()
    certs_url: str | None = None
    signatures_removed: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an installation can be told from outside."""

    home: Path
    store: str
    api_url: str | None  # whom the command speaks to; None: the same routes in this process
    api_key: str | None
    public_url: str | None  # where containers call back; None: the local server
    host: str
    port: int
    token_keys: str | None
    secrets: str | None  # where an installation keeps its secrets, as scheme://prefix; None: on this machine
    waker: str | None  # who is asked for passes, as scheme:address; None: the agents of this machine
    retention: timedelta
    heartbeat: timedelta
    installation: str = "pushpool"  # what its figures are told under
    events: frozenset[str] = frozenset()  # pool types whose clouds' events reach this installation
    log_level: int = logging.INFO
    senders: Senders = Senders()
    function_seconds: int = 60  # the longest that a call of the function may take
    cloud_run_writes: int = 60  # a minute and region: the project's quota for write requests
    # Container groups that may be made, and deleted, in a subscription and region: its quotas.
    aci_creates_per_hour: int = 300
    aci_creates_per_five_minutes: int = 100

    @property
    def local_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """:raises Misconfigured: naming the variable and its value."""
    env = os.environ if environ is None else environ
    home = Path(env.get("PUSHPOOL_HOME") or Path.home() / ".pushpool").expanduser().absolute()
    return Settings(
        home=home,
        store=env.get("PUSHPOOL_STORE") or f"sqlite://{home / 'pushpool.db'}",
        api_url=(env.get("PUSHPOOL_API_URL") or "").rstrip("/") or None,
        api_key=env.get("PUSHPOOL_API_KEY") or None,
        public_url=(env.get("PUSHPOOL_PUBLIC_URL") or "").rstrip("/") or None,
        host=env.get("PUSHPOOL_HOST") or "127.0.0.1",
        port=_whole(env, "PUSHPOOL_PORT", DEFAULT_PORT, low=0, high=65535),
        token_keys=env.get("PUSHPOOL_TOKEN_KEYS") or None,
        secrets=env.get("PUSHPOOL_SECRETS") or None,
        waker=env.get("PUSHPOOL_WAKER") or None,
        retention=timedelta(days=_whole(env, "PUSHPOOL_RETENTION_DAYS", 30, low=1, high=3650)),
        heartbeat=timedelta(seconds=_whole(env, "PUSHPOOL_HEARTBEAT_SECONDS", 120, low=1, high=86_400)),
        installation=env.get("PUSHPOOL_INSTALLATION") or "pushpool",
        events=frozenset(filter(None, (env.get("PUSHPOOL_EVENTS") or "").replace(" ", "").split(","))),
        log_level=_level(env.get("PUSHPOOL_LOG_LEVEL") or "INFO"),
        senders=_senders(env),
        function_seconds=_whole(env, "PUSHPOOL_FUNCTION_SECONDS", 60, low=1, high=3600),
        cloud_run_writes=_whole(env, "PUSHPOOL_CLOUD_RUN_WRITES_PER_MINUTE", 60, low=1, high=1_000_000),
        aci_creates_per_hour=_whole(env, "PUSHPOOL_ACI_CREATES_PER_HOUR", 300, low=1, high=1_000_000),
        aci_creates_per_five_minutes=_whole(env, "PUSHPOOL_ACI_CREATES_PER_FIVE_MINUTES", 100, low=1, high=1_000_000),
    )


def _senders(env: Mapping[str, str]) -> Senders:
    checked_by = env.get("PUSHPOOL_OIDC_SIGNATURE") or "function"
    if checked_by not in ("function", "cloud-run"):
        raise Misconfigured(f"PUSHPOOL_OIDC_SIGNATURE is {checked_by!r}; it is checked by function or cloud-run")
    accounts = env.get("PUSHPOOL_OIDC_ACCOUNTS", "").split(",")
    return Senders(
        audience=env.get("PUSHPOOL_OIDC_AUDIENCE") or None,
        accounts=frozenset(stripped for account in accounts if (stripped := account.strip())),
        certs_url=env.get("PUSHPOOL_OIDC_CERTS_URL") or None,
        signatures_removed=checked_by == "cloud-run",
    )


def secret(settings: Settings, name: str, environ: Mapping[str, str] | None = None) -> str:
    """PUSHPOOL_SECRET_<NAME>, or the file secrets/<name> in the home. :raises Misconfigured: neither is there."""
    env = os.environ if environ is None else environ
    variable, file = _secret_places(settings, name)
    if variable in env:
        return env[variable]
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as exc:
        raise Misconfigured(f"secret {name!r} is not there: set {variable}, or write {file}") from exc


def has_secret(settings: Settings, name: str) -> bool:
    """Whether `secret` would find it."""
    variable, file = _secret_places(settings, name)
    return variable in os.environ or file.is_file()


def _secret_places(settings: Settings, name: str) -> tuple[str, Path]:
    return f"PUSHPOOL_SECRET_{name.upper().replace('-', '_')}", settings.home / "secrets" / name


def _level(name: str) -> int:
    levels = logging.getLevelNamesMapping()
    if name.upper() not in levels:
        raise Misconfigured(f"PUSHPOOL_LOG_LEVEL is {name!r}; there are DEBUG, INFO, WARNING and ERROR")
    return levels[name.upper()]


def _whole(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Misconfigured(f"{name} is {text!r}; it must be a whole number from {low} to {high}")
    return int(text)
