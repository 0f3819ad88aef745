"""What a cloud says of its own about attempts of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher import callbacks
from dispatcher.context import Context
from dispatcher.errors import InvalidInput
from dispatcher.logs import log


def hear(context: Context, kind: str | None, raw: Mapping[str, Any], whose: Mapping[str, Any]) -> None:
    """Apply it if it is about a run of ours; `kind` is the pool type of which its source speaks, if it does.

    Nothing of it is logged but `whose` it is: events carry environments.
    """
    infrastructure = context.infrastructure(kind) if kind is not None else None
    event = infrastructure.parse_event(raw) if infrastructure is not None else None
    if infrastructure is None or event is None:
        log.info("event is not ours", extra=dict(whose))
        return
    try:
        run = callbacks.hear(context, infrastructure, event)
    except InvalidInput:  # it would come again as it is
        log.error("event cannot be kept", extra={**whose, "run": event.run_id, "attempt": event.attempt})
        return
    if run is None:
        log.info("event changed nothing", extra={"run": event.run_id, "attempt": event.attempt})
