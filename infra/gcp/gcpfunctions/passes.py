"""Passes that Cloud Scheduler or a task of the wake queue asked for."""

from __future__ import annotations

import json
from datetime import timedelta

from adapters.wakes import Wake
from dispatcher.errors import InvalidInput
from dispatcher.functions.parts import until
from dispatcher.functions.passes import over, tick
from dispatcher.logs import log
from gcpfunctions import parts

TICK = "pushpool.tick"  # what the schedule's `source` is


def asked(body: bytes) -> bool:
    """A tick is a pass over each pool, a wake is one over its own; whether it was made.

    What is neither is acknowledged: it would come again as it is.
    """
    end = until(timedelta(seconds=parts.told().function_seconds))
    if _is_tick(body):
        tick(parts.dispatcher(), end)
        return True
    try:
        wake = Wake.parse(body.decode(errors="replace"))
    except InvalidInput as exc:
        log.error("message is no wake", extra={"why": str(exc)})
        return True
    parts.dispatcher().prepare(end)
    return over(parts.dispatcher(), wake.pool, end, hops=wake.hops)


def _is_tick(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("source") == TICK
