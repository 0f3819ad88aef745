"""Passes that a schedule or a wake asked for."""

from __future__ import annotations

from datetime import datetime

from dispatcher.dispatch import Dispatcher
from dispatcher.logs import log


def tick(dispatcher: Dispatcher, until: datetime) -> None:
    """A pass over each pool."""
    passes = dispatcher.tick(until=until)
    log.debug("tick made", extra={"pools": len(passes)})


def over(dispatcher: Dispatcher, pool: str, until: datetime, *, hops: int) -> bool:
    """Whether the pass was made."""
    try:
        dispatcher.over(pool, until=until, hops=hops, paced=True)
    except Exception:  # noqa: BLE001  # the boundary between pools: what went wrong is in the log
        log.exception("pass failed", extra={"pool": pool})
        return False
    return True
