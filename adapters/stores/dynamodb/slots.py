"""Slot records: who holds which name of a limit. The pool's is the active entry, and is found by the limit alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.stores.dynamodb.actions import ABSENT, Action, check, delete, put, update
from adapters.stores.dynamodb.calls import Cancelled, ConditionLost, Table
from adapters.stores.dynamodb.keys import instant, maybe_moment, moment, run_key, slot_key, slot_partition
from adapters.stores.dynamodb.table import RANGE
from adapters.stores.dynamodb.values import Item, item
from dispatcher.errors import RunChanged
from dispatcher.ports import ActiveEntry
from dispatcher.runs import ACTIVE, TYPE_OF, FlowRun, Slot, pool_limit

_ITS_OWN = "#run = :run AND #attempt = :attempt"
_ACTIVE_NAMES = sorted(name.value for name, kind in TYPE_OF.items() if kind in ACTIVE)


def holds(run: FlowRun, check_at: datetime) -> list[Action]:
    """The run's slot records, each of which must be new."""
    return [put(_record(run, slot, check_at), ABSENT) for slot in run.slots]


def _record(run: FlowRun, slot: Slot, check_at: datetime) -> Item:
    partition, name = slot_key(slot)
    if slot.limit != pool_limit(run.pool):
        return item(pk=partition, sk=name, run=run.id, attempt=run.attempt)
    return item(
        pk=partition,
        sk=name,
        run=run.id,
        attempt=run.attempt,
        queue=run.queue,
        dep=run.deployment_id,
        slots=_text(run.slots),
        check=moment(check_at, "check_at"),
    )


def releases(run_id: str, slots: Iterable[Slot]) -> list[Action]:
    """Slot records that are the run's, gone; the condition is lost by one that has become another's, which stays."""
    return [delete(slot_key(slot), f"{ABSENT} OR #run = :run", run=run_id) for slot in sorted(slots, key=slot_key)]


def note(run: FlowRun, *, slots: bool, check_at: datetime | None) -> Action | None:
    """What the run's active entry is to say anew, if anything."""
    new = {"check": maybe_moment(check_at, "check_at"), "slots": _text(run.slots) if slots else None}
    values = {name: given for name, given in new.items() if given is not None}
    if not run.slots or not values:
        return None
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    return update(slot_key(run.slots[0]), change, _ITS_OWN, run=run.id, attempt=run.attempt, **values)


def active(table: Table, pool: str) -> Sequence[ActiveEntry]:
    limit = pool_limit(pool)
    return [_entry(pool, limit, found) for found in table.query("#pk = :pk", {"pk": slot_partition(limit)})]


def _entry(pool: str, limit: str, found: Item) -> ActiveEntry:
    heard = found.get("heard")
    return ActiveEntry(
        slot=Slot(limit, found[RANGE]),
        run_id=found["run"],
        attempt=found["attempt"],
        pool=pool,
        queue=found["queue"],
        deployment_id=found["dep"],
        slots=tuple(Slot(*each) for each in json.loads(found["slots"])),
        check_at=instant(found["check"]),
        heard_at=None if heard is None else instant(heard),
    )


def _text(slots: Iterable[Slot]) -> str:
    return json.dumps([(slot.limit, slot.name) for slot in slots], ensure_ascii=False, separators=(",", ":"))


def held(table: Table, limit: str) -> Mapping[str, str]:
    found = table.query("#pk = :pk", {"pk": slot_partition(limit)}, only="#sk, #run")
    return {each[RANGE]: each["run"] for each in found}


def beat(table: Table, entry: Slot, run_id: str, attempt: int, heard_at: datetime, check_at: datetime) -> bool:
    times = {"heard": moment(heard_at, "heard_at"), "check": moment(check_at, "check_at")}
    change = "SET #heard = :heard, #check = :check"
    try:
        table.write(update(slot_key(entry), change, _ITS_OWN, run=run_id, attempt=attempt, **times))
    except ConditionLost:
        return False
    return True


def restore(table: Table, run: FlowRun, check_at: datetime) -> None:
    moment(check_at, "check_at")
    try:
        table.commit([check(run_key(run.id), "#v = :v", v=run.version)], holds(run, check_at))
    except Cancelled as cancelled:
        raise RunChanged(f"run {run.id} is not at version {run.version} any more") from cancelled


def drop(table: Table, entry: ActiveEntry) -> None:
    """Only what is still this attempt's, and only if the run is not in it now, whatever the caller read."""
    its_own: dict[str, Any] = {"run": entry.run_id, "attempt": entry.attempt}
    names = {f"state{number}": name for number, name in enumerate(_ACTIVE_NAMES)}
    is_active = f"#state IN ({', '.join(f':{name}' for name in names)})"
    over = f"{ABSENT} OR #attempt <> :attempt OR NOT {is_active}"
    must = [
        check(run_key(entry.run_id), over, attempt=entry.attempt, **names),
        delete(slot_key(entry.slot), _ITS_OWN, **its_own),
    ]
    others = sorted({slot_key(slot) for slot in entry.slots} - {slot_key(entry.slot)})
    try:
        table.commit(must, [delete(key, _ITS_OWN, **its_own) for key in others])
    except Cancelled:
        return
