"""What is owed to the outside: clean-ups, cancels and notices, worked off by passes, each until it is done or given up.

Invariant: an entry is written in the commit that made it due, and removed only after it was done.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from dispatcher import records, webhooks
from dispatcher.context import Context
from dispatcher.deployments import Deployment, Webhook
from dispatcher.disowning import CANCEL
from dispatcher.documents import from_document
from dispatcher.errors import AdapterUnavailable, InvalidInput, PushpoolError
from dispatcher.logs import log
from dispatcher.pacing import granted
from dispatcher.ports import OutboxEntry
from dispatcher.runs import Target

PER_PASS = 20
LOOKED_AT = 100
TRIES = {"cleanup": 50, CANCEL: 50, "notify": 10}
FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(hours=1)


def work_off(context: Context, pool: str, *, until: datetime) -> bool:
    """True if there may be more that could be done at once."""
    now = context.clock.now()
    entries = list(context.store.outbox_due(pool, now, limit=LOOKED_AT))
    allowed = _within_rate(context, entries, now)
    for entry in allowed:
        if context.clock.now() >= until:
            return False
        _attempt(context, entry)
    return len(allowed) == PER_PASS


def _within_rate(context: Context, entries: list[OutboxEntry], now: datetime) -> list[OutboxEntry]:
    """At most PER_PASS of them. Clean-ups obey their cloud's own limit for deletes, where each is bound."""
    bound: dict[Target, list[OutboxEntry]] = {}
    for entry in entries:
        if entry.kind == "cleanup":
            bound.setdefault(replace(_target(entry), group=""), []).append(entry)
    allowed = [entry for entry in entries if entry.kind != "cleanup"][:PER_PASS]
    for target, cleanups in bound.items():
        wanted = min(len(cleanups), PER_PASS - len(allowed))
        taken, room_at = _allowed(context, target, wanted, now)
        allowed += cleanups[:taken]
        if taken < wanted:
            _put_off(context, cleanups[taken:], room_at)
    return allowed


def _allowed(context: Context, target: Target, wanted: int, now: datetime) -> tuple[int, datetime]:
    """How many, and when there is room for more."""
    try:
        limits = context.infrastructure(target.type).traits.rates.get("cleanup", ())
    except AdapterUnavailable:
        return wanted, now  # each of them says so
    return granted(context.store, "cleanup", target, wanted, limits, now) if limits and wanted else (wanted, now)


def _put_off(context: Context, entries: list[OutboxEntry], at: datetime) -> None:
    """What must wait for its cloud does not stand in front of the rest; waiting is no try."""
    for entry in entries:
        context.store.settle_outbox(replace(entry, tries=entry.tries - 1), again_at=at)


def _attempt(context: Context, entry: OutboxEntry) -> None:
    try:
        if entry.kind == "cleanup":
            _clean_up(context, entry)
        elif entry.kind == CANCEL:
            target = _target(entry)
            context.infrastructure(target.type).cancel(target, entry.body["handle"])
        else:
            _notify(context, entry)
    except InvalidInput as exc:
        log.error("given up", extra={"entry": entry.id, "why": str(exc)})
        context.store.settle_outbox(entry)
    except PushpoolError as exc:
        _later(context, entry, str(exc))
    except Exception as exc:  # noqa: BLE001  # an adapter's bug: this entry must not stand in the others' way
        log.exception("entry raised", extra={"entry": entry.id})
        _later(context, entry, type(exc).__name__)
    else:
        context.store.settle_outbox(entry)


def _clean_up(context: Context, entry: OutboxEntry) -> None:
    target, handle = _target(entry), entry.body.get("handle")
    infrastructure = context.infrastructure(target.type)
    if handle is None:
        found = infrastructure.find(target, entry.run_id, entry.body["attempt"], entry.body["submit_seq"])
        handle = found.handle if found is not None else None
    if handle is not None:
        infrastructure.cleanup(target, handle)


def _later(context: Context, entry: OutboxEntry, why: str) -> None:
    given_up = entry.tries + 1 >= TRIES[entry.kind]
    delay: timedelta = min(FIRST_DELAY * 2.0 ** min(entry.tries, 12), LONGEST_DELAY)
    log.warning("given up" if given_up else "to be tried again", extra={"entry": entry.id, "why": why})
    context.store.settle_outbox(entry, again_at=None if given_up else context.clock.now() + delay)


def _notify(context: Context, entry: OutboxEntry) -> None:
    """Tell the one webhook that the entry names, or owe each of the deployment's webhooks an entry of its own."""
    run = context.store.get_run(entry.run_id)
    deployment = records.read(context.store, Deployment, run.deployment) if run is not None else None
    if run is None or deployment is None:
        return
    now = context.clock.now()
    wanted = [hook for hook in deployment.webhooks if _word_for(hook, entry.body["on"]) is not None]
    if (url := entry.body.get("url")) is None:
        for number, hook in enumerate(wanted):
            body = {**entry.body, "url": hook.url}
            context.store.put_outbox(OutboxEntry(f"{entry.id}/{number}", "notify", entry.pool, run.id, now, body))
        context.waker.wake(entry.pool)
        return
    for hook in wanted:
        if hook.url == url:
            word = _word_for(hook, entry.body["on"]) or entry.body["on"]
            webhooks.send(hook, webhooks.message(run, word, now), now)
            return


def _word_for(hook: Webhook, on: str) -> str | None:
    """The word under which it asked to hear of this: what timed out has failed, too."""
    words = (on, "failed") if on == "timed_out" else (on,)
    return next((word for word in words if word in hook.on), None)


def _target(entry: OutboxEntry) -> Target:
    return from_document(Target, entry.body["target"])
