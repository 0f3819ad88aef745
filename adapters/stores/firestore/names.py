"""Documents by name, and the marks that pages end with.

A name of ours may hold what a document's may not (documentation, "Quotas and limits", "Constraints on document IDs"):
a slash, `.`, `..`, `__x__`. It is written so that it can be read back.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from urllib.parse import unquote

from adapters import texts
from adapters.stores.firestore.layout import (
    BUDGETS,
    CURSORS,
    KEYS,
    LIMITS,
    META,
    OWED,
    RECORDS,
    REQUESTS,
    RUNS,
    SLOTS,
)
from dispatcher.contract import check_aware
from dispatcher.errors import InvalidInput
from dispatcher.runs import Slot

SCHEMA = f"{META}/schema"
_LONGEST = 1500  # bytes of a document's id


def encoded(name: str) -> str:
    """:raises InvalidInput: it is not Unicode, or longer than an id may be."""
    text = name.replace("%", "%25").replace("/", "%2F").replace("~", "%7E")
    if text[:1] in (".", "_"):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    try:
        length = len(text.encode())
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"{name!r} is not text that can be stored: {exc.reason}") from exc
    if length > _LONGEST:
        raise InvalidInput(
            f"{name[:40]!r}… is too long for a name: {length} bytes as a document's id, at most {_LONGEST}"
        )
    return text or "%"


def decoded(text: str) -> str:
    return "" if text == "%" else unquote(text, errors="strict")


def run_path(run_id: str) -> str:
    return f"{RUNS}/{encoded(run_id)}"


def request_path(run_id: str, attempt: int) -> str:
    return f"{REQUESTS}/{encoded(run_id)}~{attempt}"


def slots_path(limit: str) -> str:
    """The collection of a limit's slots."""
    return f"{LIMITS}/{encoded(limit)}/{SLOTS}"


def slot_path(slot: Slot) -> str:
    return f"{slots_path(slot.limit)}/{encoded(slot.name)}"


def key_path(deployment_id: str, key: str) -> str:
    """Hashed: an idempotency key is of any length."""
    return f"{KEYS}/{hashlib.sha256(json.dumps([deployment_id, key]).encode()).hexdigest()}"


def record_path(kind: str, key: str) -> str:
    return f"{RECORDS}/{encoded(kind)}~{encoded(key)}"


def cursor_path(schedule_id: str) -> str:
    return f"{CURSORS}/{encoded(schedule_id)}"


def owed_path(entry_id: str) -> str:
    return f"{OWED}/{encoded(entry_id)}"


def budget_path(name: str) -> str:
    return f"{BUDGETS}/{encoded(name)}"


def last_part(path: str) -> str:
    """The name that the document was given."""
    return decoded(path.rpartition("/")[2])


def queue_name(pool: str, queue: str) -> str:
    """Where a run is due, as one value."""
    return f"{encoded(pool)}/{encoded(queue)}"


# times and pages


def moment(at: datetime, what: str) -> datetime:
    """As it is stored. :raises InvalidInput: it has no timezone."""
    check_aware(at, what)
    return at.astimezone(UTC)


def maybe_moment(at: datetime | None, what: str) -> datetime | None:
    return None if at is None else moment(at, what)


def instant(stored: datetime) -> datetime:
    """As it came, without what the client library adds to its type."""
    return datetime.combine(stored.date(), stored.time(), UTC)


def page_place(kind: str, mark: str) -> list[str]:
    """Where a page of records ended, or one of runs, with its time first. :raises InvalidInput:"""
    place: list[str] = texts.page_place(kind, mark, [str] if kind == "record" else [str, str])
    if len(place) > 1:
        try:
            check_aware(datetime.fromisoformat(place[0]), "after")
        except ValueError as exc:
            raise texts.no_mark(mark) from exc
    return place
