"""The one place that calls Firestore: what passes by itself is tried again, the rest is said in our words.

Reads and queries are strongly consistent, and a commit is there whole or not at all (documentation, "Understand reads
and writes at scale"), so nothing is ever seen half done.

A commit's conditions are that a document does not exist, or was last written at a certain moment; of that moment our
callers know nothing. So it is remembered with what a document said, from reads and from our own writes. Invariant: what
is remembered is never a reason to leave something out. It only makes a condition, which a wrong memory loses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock, local
from typing import Any, Literal, TypeAlias, TypeVar

from google.api_core.retry import Retry
from google.cloud.firestore import DELETE_FIELD

from adapters import google
from adapters.failures import Trouble
from adapters.stores.firestore.layout import SCHEMA_VERSION
from adapters.stores.firestore.names import SCHEMA
from adapters.stores.firestore.refusals import is_lost, passes, translated
from adapters.tries import Tries
from dispatcher.errors import StoreUnavailable, StoreUnusable

T = TypeVar("T")

STAMP = "w"  # says whose commit a document was last written by

_CALL_SECONDS = 5.0
_READS_AT_ONCE = 300
_REMEMBERED = 5000
_KEPT = ("version", "run", "attempt")  # of a document that is remembered: what conditions are about
# With `retry=None` a failed query trips over the library's own retry (query.py, `_retry_query_after_exception`).
_NEVER = Retry(predicate=lambda _: False)

Fields: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A document. `at`: when it was last written, as a condition wants it."""

    path: str
    fields: Fields
    at: Any

    def says(self, expected: Fields) -> bool:
        return all(self.fields.get(name) == value for name, value in expected.items())


Seen: TypeAlias = Mapping[str, Found]


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a commit. `at`: only if it was last written then. A field of an update that is None is removed."""

    kind: Literal["create", "put", "update", "delete"]
    path: str
    fields: Fields = field(default_factory=dict)
    at: Any = None


class LostError(Exception):
    """A condition of the commit did not hold; nothing was written."""


@dataclass(slots=True)
class Memory:
    """What documents said when they were last seen, the latest few thousand; for all threads."""

    _known: OrderedDict[str, Found] = field(default_factory=OrderedDict)
    _guard: Lock = field(default_factory=Lock)

    def keep(self, found: Iterable[Found]) -> None:
        with self._guard:
            for each in found:
                said = {name: each.fields[name] for name in _KEPT if name in each.fields}
                self._known[each.path] = Found(each.path, said, each.at)
                self._known.move_to_end(each.path)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def forget(self, paths: Iterable[str]) -> None:
        with self._guard:
            for path in paths:
                self._known.pop(path, None)

    def recall(self, path: str) -> Found | None:
        with self._guard:
            return self._known.get(path)


@dataclass(slots=True)
class Database:
    """The database of one installation, for all threads of this process."""

    client: Any
    wait_seconds: float
    memory: Memory = field(default_factory=Memory, init=False)
    _is_checked: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)
    _guard: Lock = field(default_factory=Lock, init=False)
    _checking: local = field(default_factory=local, init=False)  # whether this thread is the one that looks

    def close(self) -> None:
        self._is_closed = True

    # reading

    def get(self, path: str) -> Found | None:
        return self.get_all([path]).get(path)

    def get_all(self, paths: Iterable[str]) -> dict[str, Found]:
        """Those that exist."""
        asked = [self.client.document(path) for path in dict.fromkeys(paths)]
        found: dict[str, Found] = {}
        for start in range(0, len(asked), _READS_AT_ONCE):
            some = asked[start : start + _READS_AT_ONCE]
            for each in self._call("BatchGetDocuments", lambda some=some: self._snapshots(some)):  # type: ignore[misc]
                if each.exists:
                    found[each.reference.path] = _found(each)
                else:
                    self.memory.forget([each.reference.path])
        self.memory.keep(found.values())
        return found

    def _snapshots(self, references: Sequence[Any]) -> list[Any]:
        return list(self.client.get_all(references, retry=None, timeout=_CALL_SECONDS))

    def query(self, query: Any, *, whole: bool = True) -> list[Found]:
        """All that it finds. `whole`: the documents come with all that conditions are about."""

        def rows() -> list[Found]:
            return [_found(each) for each in query.stream(retry=_NEVER, timeout=_CALL_SECONDS)]

        found = self._call("RunQuery", rows)
        if whole:
            self.memory.keep(found)
        return found

    def recalled(self, expected: Mapping[str, Fields]) -> dict[str, Found]:
        """What is remembered of these documents, of those that said what is expected."""
        known = {path: self.memory.recall(path) for path in expected}
        return {path: found for path, found in known.items() if found is not None and found.says(expected[path])}

    # writing

    def tries(self) -> Tries:
        return Tries.for_seconds(self.wait_seconds)

    def commit(self, writes: Sequence[Write], tries: Tries | None = None) -> None:
        """All of them or none. :raises LostError: a condition did not hold, perhaps by our own lost first try."""
        known = {each.path: self.memory.recall(each.path) for each in writes}
        try:
            results = self._call("Commit", lambda: self._committed(writes), tries)
        except Exception:
            self.memory.forget(known)
            raise
        gone = [each.path for each in writes if each.kind == "delete"]
        there = [
            Found(each.path, _merged(known[each.path], each), result.update_time)
            for each, result in zip(writes, results, strict=True)
            if each.kind != "delete"
        ]
        self.memory.forget(gone)
        self.memory.keep(there)

    def _committed(self, writes: Sequence[Write]) -> list[Any]:
        batch = self.client.batch()
        for each in writes:
            reference = self.client.document(each.path)
            option = None if each.at is None else self.client.write_option(last_update_time=each.at)
            match each.kind:
                case "create":
                    batch.create(reference, _present(each.fields))
                case "put":
                    batch.set(reference, _present(each.fields))
                case "update":
                    batch.update(reference, _changes(each.fields), option=option)
                case "delete":
                    batch.delete(reference, option=option)
        done: list[Any] = batch.commit(retry=None, timeout=_CALL_SECONDS)
        return done

    # calling

    def _call(self, operation: str, call: Callable[[], T], tries: Tries | None = None) -> T:
        if self._is_closed:
            raise StoreUnusable(f"{self.where}: this store was closed; open it again")
        if not self._is_checked and not getattr(self._checking, "now", False):
            self._check_once()
        tries = tries or self.tries()
        while True:
            try:
                return call()
            except google.ERRORS as exc:
                failure = google.failure(exc)
                if operation == "Commit" and is_lost(failure):
                    raise LostError from exc
                if not passes(failure):
                    raise translated(self.where, operation, failure, self.client.project) from exc
                tries.doubt |= failure.trouble is Trouble.NO_ANSWER
                if not tries.wait():
                    raise StoreUnavailable(f"{self.where}: {failure}; try again") from exc

    def _check_once(self) -> None:
        """Whoever comes first looks; the others wait for it."""
        with self._guard:
            if self._is_checked:
                return
            self._checking.now = True
            try:
                self._check_version()
            finally:
                self._checking.now = False
            self._is_checked = True

    def _check_version(self) -> None:
        """One read a process. :raises StoreUnusable: newer code has changed the layout."""
        stored = self.get(SCHEMA)
        if stored is None:
            try:
                self.commit([Write("create", SCHEMA, {"schema": SCHEMA_VERSION})])
            except LostError:
                stored = self.get(SCHEMA)
        if stored is not None and stored.fields["schema"] > SCHEMA_VERSION:
            raise StoreUnusable(
                f"{self.where}: its schema version is {stored.fields['schema']}, this pushpool knows {SCHEMA_VERSION}; "
                "upgrade pushpool, or name another database"
            )

    @property
    def where(self) -> str:
        return f"Firestore database {self.client._database!r} of project {self.client.project!r}"  # noqa: SLF001  # it has no public name


def _found(snapshot: Any) -> Found:
    return Found(snapshot.reference.path, snapshot.to_dict(), snapshot.update_time)


def _present(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _changes(fields: Fields) -> dict[str, Any]:
    return {name: DELETE_FIELD if value is None else value for name, value in fields.items()}


def _merged(known: Found | None, write: Write) -> Fields:
    """What the document says after the write, as far as it is known: of what it said before, if that was just this."""
    if write.kind == "update" and known is not None and known.at == write.at:
        return {**known.fields, **write.fields}
    return write.fields


def paths_of(*some: Collection[str]) -> list[str]:
    return list(dict.fromkeys(path for each in some for path in each))
