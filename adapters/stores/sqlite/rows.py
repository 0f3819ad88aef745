"""Our values as columns and back, and the marks that pages end with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.texts import json_text, page_place
from dispatcher.contract import check_aware
from dispatcher.documents import from_json, to_json
from dispatcher.errors import InvalidInput
from dispatcher.runs import FlowRun

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime, what: str) -> int:
    """:raises InvalidInput: it has no timezone; `what` says which time it is."""
    check_aware(moment, what)
    return (moment - _EPOCH) // _MICROSECOND


def maybe_micros(moment: datetime | None, what: str) -> int | None:
    return None if moment is None else micros(moment, what)


def instant(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def maybe_instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


def run_columns(run: FlowRun) -> dict[str, Any]:
    """What is repeated beside the JSON text so that it can be searched."""
    return {
        "version": run.version,
        "state": run.state.type.value,
        "name": run.state.name.value,
        "attempt": run.attempt,
        "pool": run.pool,
        "queue": run.queue,
        "deployment": run.deployment,
        "deployment_id": run.deployment_id,
        "scheduled_time": micros(run.scheduled_time, "scheduled_time"),
        "due_at": micros(run.due_at, "due_at"),
        "parked": int(run.parked),
        "expires_at": maybe_micros(run.expires_at, "expires_at"),
        "tags": _tag_text(run.tags),
    }


def hot_text(run: FlowRun) -> str:
    """The run without its payload. :raises InvalidInput: a time has no timezone, a text is not Unicode."""
    for what in ("created", "started", "ended"):
        maybe_micros(getattr(run, what), what)
    micros(run.state.at, "state.at")
    bare = replace(run, parameters={}, job_variables={}) if run.parameters or run.job_variables else run
    try:
        return to_json(bare)
    except ValueError as exc:
        raise InvalidInput(f"run {run.id} cannot be stored as JSON: {exc}") from exc


def payload_text(run: FlowRun) -> str | None:
    if not run.parameters and not run.job_variables:
        return None
    parameters, variables = (
        json_text(run.parameters, "parameters"),
        json_text(run.job_variables, "job_variables"),
    )
    return f'{{"parameters":{parameters},"job_variables":{variables}}}'


def as_run(hot: str, payload: str | None) -> FlowRun:
    # Two JSON objects without a common key, as one: cheaper than to change the run once it is read.
    return from_json(FlowRun, hot if payload is None else f"{hot[:-1]},{payload[1:]}")


def _tag_text(tags: tuple[str, ...]) -> str:
    return "".join(map(tag_mark, tags))


def tag_mark(tag: str) -> str:
    """What `tag_text` contains if, and only if, the run has the tag: JSON text has no bare line break."""
    return f"\n{json.dumps(tag)}\n"


def page_key(kind: str, mark: str) -> tuple[Any, ...]:
    """The key that a page of this kind ended with. :raises InvalidInput: no mark, or another listing's."""
    return tuple(page_place(kind, mark, _PARTS[kind]))


_PARTS: Mapping[str, list[type]] = {"record": [str], "due": [int, str], "run": [int, str]}
