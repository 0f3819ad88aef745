"""Run tokens and API keys: made here, checked here, in constant time.

A run token is `v1.<key id>.<payload>.<signature>`: HMAC-SHA256 over run, attempt, scope and expiry. It is derived, so a
repeated submission carries the same bytes, and nothing has to store it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dispatcher.errors import Misconfigured, Unauthorized, Unreachable
from dispatcher.logs import log

CALLBACK = "callback"
_API_KEY = re.compile(r"pp_(?P<id>[A-Za-z0-9]{1,40})_[A-Za-z0-9_-]{1,100}")
_FORGED = "this run token is not valid for this installation, or has expired"


@dataclass(frozen=True, slots=True)
class RunToken:
    """What a token says."""

    run_id: str
    attempt: int
    expires: datetime
    scope: str = CALLBACK


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Keys(Protocol):
    """Signs run tokens, and tells those that it signed."""

    @property
    def current(self) -> str:
        """The id of the key that new attempts are signed with."""
        ...

    def sign(self, token: RunToken, *, key_id: str) -> str:
        """:raises Misconfigured: the key that signed this attempt was retired."""
        ...

    def verify(self, text: str, *, now: datetime, scope: str = CALLBACK) -> RunToken:
        """:raises Unauthorized: forged, foreign, expired or of another scope; never says which."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """The installation's signing keys by id; new tokens are signed with `current`."""

    keys: Mapping[str, bytes]
    current: str

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """`id:base64key[,id:base64key…]`, the first being current; keys have at least 32 bytes."""
        try:
            pairs = [part.strip().split(":", 1) for part in text.split(",") if part.strip()]
            keys = {key_id: _unb64(key) for key_id, key in pairs}
        except ValueError:
            keys = {}
        if not keys or any(len(key) < 32 or "." in key_id for key_id, key in keys.items()):
            raise Misconfigured("PUSHPOOL_TOKEN_KEYS must be id:base64key[,id:base64key], keys of at least 32 bytes")
        return cls(keys, next(iter(keys)))

    @classmethod
    def generate(cls) -> KeyRing:
        return cls({"k1": secrets.token_bytes(32)}, "k1")

    def to_text(self) -> str:
        ordered = [self.current, *(key for key in self.keys if key != self.current)]
        return ",".join(f"{key_id}:{_b64(self.keys[key_id])}" for key_id in ordered)

    def sign(self, token: RunToken, *, key_id: str) -> str:
        """:raises Misconfigured: the key that signed this attempt was retired."""
        if key_id not in self.keys:
            raise Misconfigured(f"signing key {key_id!r} is gone but run {token.run_id} still uses it; put it back")
        payload = {
            "run": token.run_id,
            "att": token.attempt,
            "scp": token.scope,
            "exp": int(token.expires.timestamp()),
        }
        text = _b64(json.dumps(payload, separators=(",", ":")).encode())
        return f"v1.{key_id}.{text}.{self._signature(key_id, text)}"

    def verify(self, text: str, *, now: datetime, scope: str = CALLBACK) -> RunToken:
        """:raises Unauthorized: forged, foreign, expired or of another scope; never says which."""
        try:
            version, key_id, payload, signature = text.split(".")
            good = version == "v1" and key_id in self.keys
            expected = self._signature(key_id if good else self.current, payload)
            if not (hmac.compare_digest(expected, signature) and good):
                raise Unauthorized(_FORGED)
            said = json.loads(_unb64(payload))
            expires = datetime.fromtimestamp(said["exp"], UTC)
            token = RunToken(said["run"], said["att"], expires, said["scp"])
        except (ValueError, KeyError, TypeError) as exc:
            raise Unauthorized(_FORGED) from exc
        if token.scope != scope or now >= token.expires:
            raise Unauthorized(_FORGED)
        return token

    def _signature(self, key_id: str, payload: str) -> str:
        signed = f"v1.{key_id}.{payload}".encode()
        return _b64(hmac.new(self.keys[key_id], signed, hashlib.sha256).digest())


class FetchedKeys:
    """A key ring that is kept elsewhere: `fetch`ed on first use, again every few minutes, and for a key that it lacks.

    So a new key, which is put in front of the old one, is known everywhere before long, and at once where it is met.
    """

    KEPT = timedelta(minutes=5)
    AT_MOST_EVERY = timedelta(seconds=10)  # for keys that it lacks: anybody may name some

    def __init__(self, fetch: Callable[[], str], now: Callable[[], datetime]) -> None:
        self._fetch, self._now = fetch, now
        self._guard = threading.Lock()
        self._ring: KeyRing | None = None
        self._fetched_at = datetime.min.replace(tzinfo=UTC)

    @property
    def current(self) -> str:
        return self._with().current

    def sign(self, token: RunToken, *, key_id: str) -> str:
        return self._with(key_id).sign(token, key_id=key_id)

    def verify(self, text: str, *, now: datetime, scope: str = CALLBACK) -> RunToken:
        parts = text.split(".")
        return self._with(parts[1] if len(parts) == 4 else None).verify(text, now=now, scope=scope)

    def _with(self, key_id: str | None = None) -> KeyRing:
        with self._guard:
            age = self._now() - self._fetched_at
            lacks = key_id is not None and self._ring is not None and key_id not in self._ring.keys
            if self._ring is None or age > (self.AT_MOST_EVERY if lacks else self.KEPT):
                self._ring = self._fetched()
                self._fetched_at = self._now()
            return self._ring

    def _fetched(self) -> KeyRing:
        """What is there now; what there was, if that cannot be told."""
        try:
            return KeyRing.parse(self._fetch())
        except (Misconfigured, Unreachable) as exc:
            if self._ring is None:
                raise
            log.warning("signing keys not fetched anew", extra={"why": str(exc)})
            return self._ring


def new_api_key() -> tuple[str, str]:
    """(id, the whole key): shown once; only its hash is kept."""
    key_id = secrets.token_hex(4)
    return key_id, f"pp_{key_id}_{secrets.token_urlsafe(32)}"


def api_key_id(key: str) -> str:
    """:raises Unauthorized: it does not look like one of ours."""
    found = _API_KEY.fullmatch(key)
    if found is None:
        raise Unauthorized("no API key, or one that is not valid: send Authorization: Bearer pp_…")
    return found["id"]


def key_hash(key: str) -> str:
    """Keys have 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def same(a: str, b: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(a.encode(), b.encode())
