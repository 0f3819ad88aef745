"""What the store in memory takes, hands out and finds: copies, refusals, filters and pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from dispatcher.contract import check_aware
from dispatcher.documents import from_json, to_json
from dispatcher.errors import InvalidInput, RecordChanged
from dispatcher.ports import Candidate, Cursor, OutboxEntry, Page, Record, Request, RunFilter
from dispatcher.runs import FlowRun, StateType

T = TypeVar("T")
B = TypeVar("B", Record, Request, OutboxEntry)


def exact(body: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A copy by way of JSON. :raises InvalidInput: JSON cannot say it."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(body), allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise InvalidInput(f"{what} cannot be stored as JSON: {exc}") from exc
    return copy


def copied(value: B) -> B:
    return replace(value, body=exact(value.body, "body"))


def written(run: FlowRun) -> FlowRun:
    """A copy to keep. :raises InvalidInput: a time has no timezone, or a value is not JSON."""
    for what in ("created", "scheduled_time", "due_at", "started", "ended", "expires_at"):
        check_aware(getattr(run, what), what)
    check_aware(run.state.at, "state.at")
    exact(run.parameters, "parameters")
    exact(run.job_variables, "job_variables")
    return read(run)


def owing(entry: OutboxEntry) -> OutboxEntry:
    """A copy to keep. :raises InvalidInput: as `written`."""
    check_aware(entry.due_at, "due_at")
    return copied(entry)


def read(run: FlowRun) -> FlowRun:
    return from_json(FlowRun, to_json(run))


def check_version(stored: Record | Cursor | None, given: Record | Cursor) -> None:
    version = stored.version if stored is not None else 0
    if version != given.version:
        raise RecordChanged(f"it is at version {version}, not {given.version}; read it again")


def check_stored(stored: Record | Cursor | None, given: Record | Cursor) -> None:
    if stored is None:
        raise RecordChanged("it is not stored any more")
    check_version(stored, given)


def candidates(runs: Iterable[FlowRun]) -> list[Candidate]:
    """Those that are SCHEDULED, the earliest due first."""
    waiting = [run for run in runs if run.state.type is StateType.SCHEDULED]
    waiting.sort(key=lambda run: (run.due_at.timestamp(), run.id))
    return [Candidate(run.id, run.due_at, run.deployment_id) for run in waiting]


def matches(run: FlowRun, wanted: RunFilter) -> bool:
    return (
        all(
            value is None or value == getattr(run, what)
            for what, value in (
                ("deployment", wanted.deployment),
                ("pool", wanted.pool),
                ("queue", wanted.queue),
            )
        )
        and (not wanted.types or run.state.type in wanted.types)
        and (not wanted.names or run.state.name in wanted.names)
        and wanted.tags <= set(run.tags)
        and (wanted.since is None or run.scheduled_time >= wanted.since)
        and (wanted.until is None or run.scheduled_time < wanted.until)
    )


def page(found: Sequence[T], key: Callable[[T], list[float | str]], after: str | None, limit: int) -> Page[T]:
    """The first `limit` of what comes after the mark; `found` is in the order of `key`."""
    if limit < 1:
        raise InvalidInput(f"limit: {limit}; a page has at least one item", path="limit")
    if after is not None:
        start = _key(after)
        found = [item for item in found if key(item) > start]
    last = json.dumps(key(found[limit - 1])) if len(found) > limit else None
    return Page(tuple(found[:limit]), last)


def _key(mark: str) -> list[float | str]:
    try:
        key: list[float | str] = json.loads(mark)
        if isinstance(key, list):
            return key
    except ValueError:
        pass
    raise InvalidInput(f"after: {mark!r} is not where a page ended; leave it out to start", path="after")
