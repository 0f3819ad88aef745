"""Runs: made, read, what waits of them, and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter

from adapters.stores.firestore.commits import carry_out, gone
from adapters.stores.firestore.database import Database, Found, LostError, Seen, Write
from adapters.stores.firestore.documents import as_run, new_run_fields
from adapters.stores.firestore.layout import KEYS, RUNS
from adapters.stores.firestore.names import (
    instant,
    key_path,
    last_part,
    maybe_moment,
    moment,
    page_place,
    queue_name,
    request_path,
    run_path,
)
from adapters.stores.firestore.records import Step
from adapters.texts import page_mark
from dispatcher.errors import IllegalMove, InvalidInput, RunChanged, StoreUnavailable
from dispatcher.ports import Candidate, Page
from dispatcher.runs import FlowRun

_FORGOTTEN_AT_ONCE = 50  # with their requests and keys


def where(field: str, relation: str, value: object) -> Any:
    return FieldFilter(field, relation, value)


# making


def create(database: Database, run: FlowRun, keep_key_until: datetime | None) -> FlowRun:
    """`run`, or the one that was there before under its id or its key; which may be our own, its answer lost."""
    path, key = run_path(run.id), _key_of(run)
    made = Write("create", path, new_run_fields(run))
    claim = {"run": run.id, "expires_at": maybe_moment(keep_key_until, "keep_key_until")}
    tries, held = database.tries(), None
    while True:
        try:
            database.commit([made, *_claim(key, claim, held)], tries)
        except LostError:
            found = database.get_all([path, *([key] if key else [])])
            earlier = found.get(path)
            held = found.get(key) if key else None
            if earlier is None and held is not None:
                earlier = database.get(run_path(held.fields["run"]))
            if earlier is not None:
                return as_run(earlier)
        else:
            return run
        if not tries.wait():
            raise StoreUnavailable(f"run {run.id}: others make and delete runs of this key all the time; try again")


def _key_of(run: FlowRun) -> str | None:
    return None if run.idempotency_key is None else key_path(run.deployment_id, run.idempotency_key)


def _claim(key: str | None, claim: Mapping[str, Any], held: Found | None) -> list[Write]:
    """The run's key, new or taken over from a run that is not there any more."""
    if key is None:
        return []
    return [Write("create", key, claim) if held is None else Write("update", key, claim, held.at)]


def create_scheduled(database: Database, step: Step, runs: Sequence[FlowRun]) -> None:
    """The cursor's `step`, and those of `runs` whose id is new."""
    if len(runs) > 20:
        raise InvalidInput(f"{len(runs)} scheduled runs in one commit; at most 20 fit")
    made = {run_path(run.id): new_run_fields(run) for run in runs}

    def plan(seen: Seen) -> list[Write]:
        return [step.write(seen), *(Write("create", path, made[path]) for path in made if path not in seen)]

    carry_out(database, plan, needs=step.needs, news=made)


# reading


def get(database: Database, run_id: str) -> FlowRun | None:
    found = database.get(run_path(run_id))
    return None if found is None else as_run(found)


def get_many(database: Database, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
    found = map(as_run, database.get_all(run_path(run_id) for run_id in run_ids).values())
    return {run.id: run for run in found}


def due(
    database: Database, pool: str, queue: str, before: datetime, *, after: str | None, limit: int
) -> Page[Candidate]:
    waiting = database.client.collection(RUNS).where(filter=where("due_in", "==", queue_name(pool, queue)))
    waiting = waiting.where(filter=where("due_at", "<=", moment(before, "before")))
    waiting = waiting.order_by("due_at").order_by("__name__").select(["due_at", "deployment_id"]).limit(limit + 1)
    if after is not None:
        waiting = waiting.start_after(_place(database, "due", after))
    found = [_candidate(each) for each in database.query(waiting, whole=False)]
    last = found[limit - 1] if len(found) > limit else None
    mark = page_mark("due", last.due_at.isoformat(), last.run_id) if last is not None else None
    return Page(tuple(found[:limit]), mark)


def _place(database: Database, kind: str, mark: str) -> dict[str, Any]:
    at, run_id = page_place(kind, mark)
    return {"due_at": datetime.fromisoformat(at), "__name__": database.client.document(run_path(run_id))}


def parked(database: Database, pool: str) -> Sequence[str]:
    """One look a deployment, however many of its runs are parked."""
    query = database.client.collection(RUNS).where(filter=where("parked_in", "==", pool))
    query = query.order_by("deployment_id").order_by("due_at").select(["deployment_id"]).limit(1)
    found: list[str] = []
    row = database.query(query, whole=False)
    while row:
        found.append(row[0].fields["deployment_id"])
        row = database.query(query.where(filter=where("deployment_id", ">", found[-1])), whole=False)
    return found


def parked_runs(database: Database, pool: str, deployment_id: str, limit: int) -> Sequence[Candidate]:
    query = database.client.collection(RUNS).where(filter=where("parked_in", "==", pool))
    query = query.where(filter=where("deployment_id", "==", deployment_id))
    query = query.order_by("due_at").select(["due_at", "deployment_id"]).limit(limit)
    return [_candidate(each) for each in database.query(query, whole=False)]


def _candidate(found: Found) -> Candidate:
    return Candidate(last_part(found.path), instant(found.fields["due_at"]), found.fields["deployment_id"])


# deleting


def delete_run(database: Database, run: FlowRun) -> None:
    """The run with everything that is stored of it, in one commit."""
    path = run_path(run.id)

    def plan(seen: Seen) -> list[Write]:
        stored = seen.get(path)
        if stored is None or not stored.says({"version": run.version}):
            raise RunChanged(f"run {run.id} is not at version {run.version} any more")
        if not run.is_final and (run.was_admitted or run.is_active):
            raise IllegalMove(f"run {run.id} is {run.state.name}: it can be deleted once it has ended; cancel it first")
        return list(_deletes(run, stored, seen))

    needs = {path: {"version": run.version}, **_key_needed(run)}
    carry_out(database, plan, needs=needs, is_done=gone(path))


def _key_needed(run: FlowRun) -> dict[str, dict[str, Any]]:
    key = _key_of(run)
    return {} if key is None else {key: {"run": run.id}}


def _deletes(run: FlowRun, stored: Found, seen: Seen) -> Iterator[Write]:
    """A key without its run could answer nothing; one that is another run's by now stays."""
    yield Write("delete", stored.path, at=stored.at)
    for attempt in range(1, run.attempt + 1) if run.was_admitted else ():
        yield Write("delete", request_path(run.id, attempt))
    for key, said in _key_needed(run).items():
        if key in seen and seen[key].says(said):
            yield Write("delete", key, at=seen[key].at)


def purge(database: Database, before: datetime, limit: int) -> int:
    forgotten = 0
    while some := _expired(database, RUNS, before, min(limit - forgotten, _FORGOTTEN_AT_ONCE)):
        forgotten += _forget_runs(database, some)
    while some := _expired(database, KEYS, before, min(limit - forgotten, _FORGOTTEN_AT_ONCE)):
        forgotten += _forget_keys(database, some)
    return forgotten


def _expired(database: Database, collection: str, before: datetime, limit: int) -> list[Found]:
    if limit < 1:
        return []
    query = database.client.collection(collection).where(filter=where("expires_at", "<", moment(before, "before")))
    return database.query(query.order_by("expires_at").limit(limit))


def _forget_runs(database: Database, found: Iterable[Found]) -> int:
    """Those that are as they were found; how many."""
    runs = {each.path: as_run(each) for each in found}
    needs = {path: {"version": run.version} for path, run in runs.items()}
    going: list[str] = []

    def plan(seen: Seen) -> list[Write]:
        going[:] = [path for path in runs if path in seen and seen[path].says(needs[path])]
        return [write for path in going for write in _deletes(runs[path], seen[path], seen)]

    keys = {key: said for run in runs.values() for key, said in _key_needed(run).items()}
    carry_out(database, plan, needs={**needs, **keys})
    return len(going)


def _forget_keys(database: Database, found: Iterable[Found]) -> int:
    needs = {each.path: {"run": each.fields["run"]} for each in found}
    going: list[str] = []

    def plan(seen: Seen) -> list[Write]:
        going[:] = [path for path in needs if path in seen and seen[path].says(needs[path])]
        return [Write("delete", path, at=seen[path].at) for path in going]

    carry_out(database, plan, needs=needs)
    return len(going)
