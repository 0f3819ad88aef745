"""Containers that no run names: their cloud is asked to stop them, until it has taken that."""

from __future__ import annotations

from dispatcher.context import Context
from dispatcher.documents import to_document
from dispatcher.logs import log
from dispatcher.ports import Observation, OutboxEntry, Phase
from dispatcher.runs import FlowRun, Target

CANCEL = "cancel"


def nobodys(run: FlowRun, number: int, seen: Observation, submit_seq: int | None = None) -> Target | None:
    """Where a living container of that attempt is, if the attempt neither names it nor will: nobody would stop it."""
    if seen.phase not in (Phase.PENDING, Phase.RUNNING) or not seen.handle:
        return None
    attempt = next((each for each in run.attempts if each.number == number), None)
    if attempt is None or attempt.handle == seen.handle:
        return None
    is_submitted = attempt.handle is None and run.is_active and run.attempt == number
    will_be_named = is_submitted and submit_seq in (None, attempt.submit_seq)
    return None if will_be_named else attempt.target


def disown(context: Context, run: FlowRun, target: Target, handle: str) -> None:
    """Owe its cloud the word to stop it, once; passes work that off, for not everybody may say it."""
    now = context.clock.now()
    body = {"target": to_document(target), "handle": handle}
    if context.store.put_outbox(OutboxEntry(f"{CANCEL}/{run.id}/{handle}", CANCEL, run.pool, run.id, now, body)):
        log.warning("container is no run's", extra={"run": run.id, "pool": run.pool, "handle": handle})
        context.waker.wake(run.pool)
