"""API keys: shown once, stored hashed, with scopes; and the check that every request passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dispatcher.documents import from_document, to_document
from dispatcher.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from dispatcher.ports import Record, Store
from dispatcher.tokens import api_key_id, key_hash, new_api_key, same

KIND = "api-key"
_REFUSED = "no API key, or one that is not valid: send Authorization: Bearer pp_…"


class Scope(StrEnum):
    """What a key may do; each scope holds those before it."""

    READ = "read"
    RUN = "run"  # create, cancel and retry runs
    ADMIN = "admin"  # pools, queues, deployments, schedules


_RANK = {scope: rank for rank, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored: its hash, never itself."""

    id: str
    name: str
    hash: str
    scope: Scope
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    version: int = 0

    def allows(self, scope: Scope) -> bool:
        return _RANK[self.scope] >= _RANK[scope]


def create(
    store: Store, name: str, scope: Scope, *, now: datetime, expires: datetime | None = None
) -> tuple[ApiKey, str]:
    """(what is stored, the key itself, which is never shown again). :raises InvalidInput:"""
    if expires is not None and expires <= now:
        raise InvalidInput(f"an API key that expired on {expires:%Y-%m-%d %H:%M} would be of no use")
    key_id, key = new_api_key()
    stored = ApiKey(id=key_id, name=name, hash=key_hash(key), scope=scope, created=now, expires=expires)
    store.put(_record(stored))
    return stored, key


def every(store: Store) -> Iterable[ApiKey]:
    after: str | None = None
    while True:
        page = store.list(KIND, after=after)
        yield from (_key(record) for record in page.items)
        after = page.after
        if after is None:
            return


def revoke(store: Store, key_id: str, *, now: datetime) -> ApiKey:
    """:raises NotFound:"""
    record = store.get(KIND, key_id)
    if record is None:
        raise NotFound(f"API key {key_id!r} does not exist; `pushpool api-key ls` shows those that do")
    key = _key(record)
    if key.revoked is None:
        key = replace(key, revoked=now)
        store.put(_record(key))
    return key


def check(store: Store, presented: str | None, scope: Scope, *, now: datetime) -> ApiKey:
    """The key that was presented. :raises Unauthorized: it is not valid. :raises Forbidden: it lacks the scope."""
    key_id = api_key_id(presented or "")
    record = store.get(KIND, key_id)
    key = _key(record) if record is not None else None
    # An unknown id costs the same comparison as a known one.
    good = same(key.hash if key else "0" * 64, key_hash(presented or ""))
    if key is None or not good or key.revoked is not None or (key.expires is not None and key.expires <= now):
        raise Unauthorized(_REFUSED)
    if not key.allows(scope):
        raise Forbidden(f"API key {key.id} has the scope {key.scope}; this needs {scope}")
    return key


def _record(key: ApiKey) -> Record:
    return Record(KIND, key.id, to_document(key), version=key.version)


def _key(record: Record) -> ApiKey:
    return replace(from_document(ApiKey, record.body), version=record.version)
