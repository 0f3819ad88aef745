"""What goes over the line to Firestore: calls counted as they are charged, and queries as they are asked.

Charged are documents: each that is read, a query that finds none as one ("Understand Cloud Firestore billing"), a
document that is looked for by its name and is not there as one too; each that is written; each that is deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Charges:
    """Of one step. `calls`: how often each method was called."""

    calls: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    writes: int = 0
    deletes: int = 0

    def __str__(self) -> str:
        called = ", ".join(f"{name} {times}" for name, times in sorted(self.calls.items()))
        return f"{self.reads} reads, {self.writes} writes, {self.deletes} deletes ({called or 'no call'})"


class Meter:
    """Counts what goes through `client`, a `google.cloud.firestore.Client`."""

    def __init__(self, client: Any) -> None:
        self.now = Charges()
        api = client._firestore_api  # noqa: SLF001  # it has no public name
        api.commit = self._committing(api.commit)
        api.batch_get_documents = self._reading("BatchGetDocuments", api.batch_get_documents)
        api.run_query = self._reading("RunQuery", api.run_query)

    @contextmanager
    def step(self) -> Iterator[Charges]:
        """What is called in the block."""
        self.now = charges = Charges()
        yield charges
        self.now = Charges()

    def _committing(self, commit: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*, request: Mapping[str, Any], **how: Any) -> Any:
            self.now.calls["Commit"] += 1
            answer = commit(request=request, **how)
            deletes = sum(bool(write.delete) for write in request["writes"])
            self.now.deletes += deletes
            self.now.writes += len(request["writes"]) - deletes
            return answer

        return counted

    def _reading(self, method: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def counted(**how: Any) -> Iterator[Any]:
            charges = self.now
            charges.calls[method] += 1
            found = 0
            for answer in read(**how):
                # Of a query an answer may say nothing but the time; of a batch one may say that a document is missing.
                found += method == "BatchGetDocuments" or bool(answer.document.name)
                yield answer
            charges.reads += max(found, method == "RunQuery")

        return counted


def listen(client: Any, heard: Callable[[Any], None]) -> None:
    """`heard` is told every query before it is asked, as its StructuredQuery; what it raises, the query raises."""
    api = client._firestore_api  # noqa: SLF001  # it has no public name
    ask = api.run_query

    def asked(*, request: Mapping[str, Any], **how: Any) -> Any:
        heard(request["structured_query"])
        return ask(request=request, **how)

    api.run_query = asked
