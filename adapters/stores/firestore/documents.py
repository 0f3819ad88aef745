"""A run as a document: the whole of it as JSON text, and beside it the fields that queries need.

The payload has a field of its own, for it never changes: an update leaves it out. Long texts are deflated, so that a
document stays under 1 MiB; Firestore charges by the document, not by its size.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

from adapters.stores.firestore.database import Fields, Found
from adapters.stores.firestore.names import maybe_moment, moment, queue_name
from adapters.texts import json_text
from dispatcher.documents import from_json, to_json
from dispatcher.errors import InvalidInput
from dispatcher.runs import FlowRun, StateType

_READABLE_BYTES = 16_384


def run_fields(run: FlowRun) -> dict[str, Any]:
    """All but the payload; None is a field that it does not have.

    :raises InvalidInput: a time has no timezone, a text is not Unicode.
    """
    return {
        "version": run.version,
        "doc": packed(_document(run)),
        **_waiting(run),
        "deployment_id": run.deployment_id,
        "deployment": run.deployment,
        "pool": run.pool,
        "queue": run.queue,
        "type": run.state.type.value,
        "name": run.state.name.value,
        "tags": list(dict.fromkeys(run.tags)),
        "scheduled_time": moment(run.scheduled_time, "scheduled_time"),
        "due_at": moment(run.due_at, "due_at"),
        "expires_at": maybe_moment(run.expires_at, "expires_at"),
    }


def new_run_fields(run: FlowRun) -> dict[str, Any]:
    """:raises InvalidInput: as `run_fields`, or the payload cannot be said in JSON."""
    payload = payload_text(run)
    return {"payload": None if payload is None else packed(payload), **run_fields(run)}


def _waiting(run: FlowRun) -> dict[str, str | None]:
    """Where the due index and the parked one have it."""
    waits = run.state.type is StateType.SCHEDULED
    return {
        "due_in": queue_name(run.pool, run.queue) if waits and not run.parked else None,
        "parked_in": run.pool if waits and run.parked else None,
    }


def _document(run: FlowRun) -> str:
    for what in ("created", "started", "ended"):
        maybe_moment(getattr(run, what), what)
    moment(run.state.at, "state.at")
    bare = replace(run, parameters={}, job_variables={}) if run.parameters or run.job_variables else run
    try:
        return to_json(bare)
    except ValueError as exc:
        raise InvalidInput(f"run {run.id} cannot be stored as JSON: {exc}") from exc


def payload_text(run: FlowRun) -> str | None:
    if not run.parameters and not run.job_variables:
        return None
    parameters, variables = json_text(run.parameters, "parameters"), json_text(run.job_variables, "job_variables")
    return f'{{"parameters":{parameters},"job_variables":{variables}}}'


def as_run(found: Found) -> FlowRun:
    document = unpacked(found.fields["doc"])
    payload = found.fields.get("payload")
    if payload is not None:
        # Two JSON objects without a common key, as one: cheaper than to change the run once it is read.
        document = f"{document[:-1]},{unpacked(payload)[1:]}"
    return from_json(FlowRun, document)


def packed(text: str) -> str | bytes:
    raw = text.encode()
    return text if len(raw) <= _READABLE_BYTES else zlib.compress(raw)


def unpacked(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else zlib.decompress(stored).decode()


def size(fields: Fields) -> int:
    """About the bytes that go over the wire."""
    return 200 + sum(len(value) for value in fields.values() if isinstance(value, (str, bytes)))
