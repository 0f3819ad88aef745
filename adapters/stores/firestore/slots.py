"""Slot records: who holds which name of a limit. The pool's is the active entry, and is found by the limit alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.stores.firestore.commits import carry_out
from adapters.stores.firestore.database import Database, Fields, Found, Seen, Write
from adapters.stores.firestore.documents import as_run
from adapters.stores.firestore.names import instant, last_part, maybe_moment, moment, run_path, slot_path, slots_path
from dispatcher.errors import RunChanged
from dispatcher.ports import ActiveEntry
from dispatcher.runs import FlowRun, Slot, pool_limit


def holds(run: FlowRun, check_at: datetime) -> dict[str, dict[str, Any]]:
    """The run's slot records by their paths."""
    return {slot_path(slot): _record(run, slot, check_at) for slot in run.slots}


def _record(run: FlowRun, slot: Slot, check_at: datetime) -> dict[str, Any]:
    held = {"run": run.id, "attempt": run.attempt}
    if slot.limit != pool_limit(run.pool):
        return held
    entry = {"queue": run.queue, "deployment_id": run.deployment_id, "slots": _text(run.slots)}
    return {**held, **entry, "check_at": moment(check_at, "check_at")}


def _text(slots: Iterable[Slot]) -> str:
    return json.dumps([(slot.limit, slot.name) for slot in slots], ensure_ascii=False, separators=(",", ":"))


def held_by(run: FlowRun, slots: Iterable[Slot]) -> dict[str, Fields]:
    """What these say if they are the run's."""
    return {slot_path(slot): {"run": run.id} for slot in slots}


def released(seen: Seen, needed: Mapping[str, Fields]) -> Iterator[Write]:
    """Those that are the run's, gone; one that has become another's stays."""
    for path, said in needed.items():
        if path in seen and seen[path].says(said):
            yield Write("delete", path, at=seen[path].at)


def note(run: FlowRun, *, slots: bool, check_at: datetime | None) -> dict[str, Any]:
    """What the run's active entry is to say anew."""
    new = {"check_at": maybe_moment(check_at, "check_at"), "slots": _text(run.slots) if slots else None}
    return {name: given for name, given in new.items() if given is not None} if run.slots else {}


def active(database: Database, pool: str) -> Sequence[ActiveEntry]:
    limit = pool_limit(pool)
    return [_entry(pool, limit, found) for found in database.query(database.client.collection(slots_path(limit)))]


def _entry(pool: str, limit: str, found: Found) -> ActiveEntry:
    said = found.fields
    heard = said.get("heard_at")
    return ActiveEntry(
        slot=Slot(limit, last_part(found.path)),
        run_id=said["run"],
        attempt=said["attempt"],
        pool=pool,
        queue=said["queue"],
        deployment_id=said["deployment_id"],
        slots=tuple(Slot(*each) for each in json.loads(said["slots"])),
        check_at=instant(said["check_at"]),
        heard_at=None if heard is None else instant(heard),
    )


def held(database: Database, limit: str) -> Mapping[str, str]:
    query = database.client.collection(slots_path(limit)).select(["run", "attempt"])
    return {last_part(each.path): each.fields["run"] for each in database.query(query)}


def beat(database: Database, entry: Slot, run_id: str, attempt: int, heard_at: datetime, check_at: datetime) -> bool:
    path, its_own = slot_path(entry), {"run": run_id, "attempt": attempt}
    times = {"heard_at": moment(heard_at, "heard_at"), "check_at": moment(check_at, "check_at")}
    found = False

    def plan(seen: Seen) -> list[Write]:
        nonlocal found
        found = path in seen and seen[path].says(its_own)
        return [Write("update", path, times, seen[path].at)] if found else []

    carry_out(database, plan, needs={path: its_own})
    return found


def restore(database: Database, run: FlowRun, check_at: datetime) -> None:
    """The run is written too, so that whoever has read it without these slots must look again."""
    path, wanted = run_path(run.id), holds(run, check_at)

    def plan(seen: Seen) -> list[Write]:
        stored = seen.get(path)
        if stored is None or not stored.says({"version": run.version}):
            raise RunChanged(f"run {run.id} is not at version {run.version} any more")
        lacking = [Write("create", each, wanted[each]) for each in wanted if each not in seen]
        return [Write("update", path, {}, stored.at), *lacking] if lacking else []

    carry_out(database, plan, needs={each: {} for each in (path, *wanted)}, afresh=True)


def drop(database: Database, entry: ActiveEntry) -> None:
    """Only what is still this attempt's, and only if the run is not in it now, whatever the caller read.

    The run is no part of the commit: admitted anew it would have made slots anew, which a condition on these loses.
    """
    path, its_own = run_path(entry.run_id), {"run": entry.run_id, "attempt": entry.attempt}
    first = slot_path(entry.slot)
    wanted: dict[str, Fields] = dict.fromkeys([first, *map(slot_path, entry.slots)], its_own)

    def plan(seen: Seen) -> list[Write]:
        run = as_run(seen[path]) if path in seen else None
        is_in_it = run is not None and run.is_active and run.attempt == entry.attempt
        if is_in_it or first not in seen or not seen[first].says(its_own):
            return []
        return list(released(seen, wanted))

    carry_out(database, plan, needs={each: {} for each in (path, *wanted)}, afresh=True)
