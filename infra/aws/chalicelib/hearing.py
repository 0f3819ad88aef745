"""What a cloud says of its own about attempts of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher import callbacks
from dispatcher.context import Context
from dispatcher.logs import log

POOL_TYPE: Mapping[str, str] = {"aws.ecs": "ecs:push"}  # of whom that source speaks


def hear(context: Context, raw: Mapping[str, Any]) -> None:
    """Apply it if it is about a run of ours. Nothing of it is logged but whose it is: events carry environments."""
    kind = POOL_TYPE.get(str(raw.get("source")))
    infrastructure = context.infrastructure(kind) if kind is not None else None
    event = infrastructure.parse_event(raw) if infrastructure is not None else None
    if infrastructure is None or event is None:
        log.info("event is not ours", extra={"event": raw.get("id"), "source": raw.get("source")})
        return
    run = callbacks.hear(context, infrastructure, event)
    if run is None:
        log.info("event changed nothing", extra={"run": event.run_id, "attempt": event.attempt})
