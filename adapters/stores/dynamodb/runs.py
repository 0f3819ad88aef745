"""Runs: made, read, what waits of them, and deleted.

A run is there when its hot item is. Its parts are written before and removed in the commit that removes it, so whoever
finds a part or a card without its run looks past it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

from adapters.stores.dynamodb import keys
from adapters.stores.dynamodb.actions import ABSENT, Action, check, delete, put
from adapters.stores.dynamodb.calls import Cancelled, Table
from adapters.stores.dynamodb.documents import Parts, Written, bare_run, far_parts, parts_of, whole_run, written
from adapters.stores.dynamodb.keys import HOT, Key, run_key, seconds
from adapters.stores.dynamodb.table import DUE_RANGE, HASH, RANGE
from adapters.stores.dynamodb.values import Item, item
from adapters.texts import page_mark
from dispatcher.errors import IllegalMove, InvalidInput, RecordChanged, RunChanged, StoreUnavailable
from dispatcher.ports import Candidate, Cursor, Page
from dispatcher.runs import FlowRun

_TRIES = 8  # to create or delete a run that others create or delete
_REQUESTS_AT_ONCE = 80  # a transaction holds 100 items


class Roster:
    """Which deployments have had runs in which pools and queues; written once by each process."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: set[Key] = set()
        self._lock = threading.Lock()

    def add(self, runs: Iterable[FlowRun]) -> None:
        """Before such a run is stored, so that who lists looks there."""
        with self._lock:
            new = {keys.roster_key(run) for run in runs} - self._known
        if new:
            self._table.put_all([item(pk=key[0], sk=key[1]) for key in sorted(new)])
            with self._lock:
                self._known |= new

    def read(self) -> list[tuple[str, str, str]]:
        """(deployment, pool, queue)."""
        rows = self._table.query("#pk = :pk", {"pk": keys.ROSTER}, only="#sk")
        return [(deployment, pool, queue) for deployment, pool, queue in (keys.roster_parts(r[RANGE]) for r in rows)]


# making


def create(table: Table, roster: Roster, run: FlowRun, keep_key_until: datetime | None) -> FlowRun:
    """`run`, or the one that was there before under its id or its key."""
    kept_until = seconds(keep_key_until, "keep_key_until")
    new, parts = written(run), parts_of(run)
    roster.add([run])
    _write_parts(table, new, parts)
    hot = put(new.hot_item(parts), ABSENT)
    holder: str | None = None
    earlier: FlowRun | None
    for _ in range(_TRIES):
        try:
            table.commit([hot, *_claim(run, kept_until, holder)])
        except Cancelled as cancelled:
            if 0 in cancelled.lost:
                earlier = whole(table, [cancelled.lost[0]]).get(run.id) or bare_run(cancelled.lost[0])
            else:
                holder = cancelled.lost.get(1, {}).get("run") or holder
                earlier = get(table, holder) if holder else None
            if earlier is not None:
                _forget_parts(table, parts, parts_of(earlier))
                return earlier
        else:
            return run
    raise StoreUnavailable(f"run {run.id}: others make and delete runs of this key all the time; try again")


def _claim(run: FlowRun, kept_until: int | None, holder: str | None) -> list[Action]:
    """The run's key, new or taken over from `holder`, which is not there any more."""
    if run.idempotency_key is None:
        return []
    key = keys.idempotency_key(run.deployment_id, run.idempotency_key)
    claim = item(pk=key[0], sk=key[1], run=run.id, expires=kept_until)
    if holder is None:
        return [put(claim, ABSENT)]
    return [put(claim, f"{ABSENT} OR #run = :run", run=holder), check(run_key(holder), ABSENT)]


def _write_parts(table: Table, new: Written, parts: Parts) -> None:
    cold = [] if new.cold is None else [new.cold]
    table.put_all([*cold, *parts.items])


def _forget_parts(table: Table, ours: Parts, theirs: Parts) -> None:
    """What we wrote for nothing."""
    for key in set(ours.keys) - set(theirs.keys):
        table.write(delete(key))


def create_scheduled(table: Table, roster: Roster, step: Action, cursor: Cursor, runs: Sequence[FlowRun]) -> None:
    """The cursor's `step`, and those of `runs` whose id is new."""
    if len(runs) > 20:
        raise InvalidInput(f"{len(runs)} scheduled runs in one commit; at most 20 fit")
    asked = {run.id: run for run in runs}
    known = table.get_all([run_key(run_id) for run_id in asked])
    made = [(written(run), parts_of(run)) for run in asked.values() if run_key(run.id) not in known]
    roster.add(new.run for new, _ in made)
    table.put_all([sent for new, parts in made for sent in (*parts.items, *([new.cold] if new.cold else []))])
    try:
        table.commit([step], [put(new.hot_item(parts), ABSENT) for new, parts in made])
    except Cancelled as cancelled:
        raise RecordChanged(
            f"the cursor of schedule {cursor.schedule_id} is not at version {cursor.version} any more; read it again"
        ) from cancelled


# reading


def get(table: Table, run_id: str) -> FlowRun | None:
    hot = table.get(run_key(run_id))
    if hot is None:
        return None
    parts = {key: found for key in far_parts(hot) if (found := table.get(key)) is not None}
    return whole_run(hot, parts)


def get_many(table: Table, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
    return whole(table, hot_items(table, run_ids))


def hot_items(table: Table, run_ids: Iterable[str]) -> list[Item]:
    return list(table.get_all([run_key(run_id) for run_id in run_ids]).values())


def whole(table: Table, hot: Iterable[Item], known: Mapping[Key, Item] | None = None) -> dict[str, FlowRun]:
    """Runs with all their parts; those of which a part is gone are gone. `known`: parts that were read already."""
    hot = list(hot)
    found = dict(known or {})
    found |= table.get_all([key for each in hot for key in far_parts(each) if key not in found])
    whole = [whole_run(each, found) for each in hot]
    return {run.id: run for run in whole if run is not None}


def due(table: Table, pool: str, queue: str, before: datetime, *, after: str | None, limit: int) -> Page[Candidate]:
    until = keys.moment(before, "before") + keys.LAST
    partition = keys.due_partition(pool, queue)
    begin = "0" if after is None else keys.page_key("due", after) + " "
    if begin > until:
        return Page(())
    rows = table.query(
        f"#due_pk = :due_pk AND #{DUE_RANGE} BETWEEN :begin AND :until",
        {"due_pk": partition, "begin": begin, "until": until},
        index=True, page=limit + 1,
    )  # fmt: skip
    found = [row[DUE_RANGE] for row in islice(rows, limit + 1)]
    mark = page_mark("due", found[limit - 1]) if len(found) > limit else None
    return Page(tuple(_candidate(*keys.due_sort(sort)) for sort in found[:limit]), mark)


def parked(table: Table, pool: str) -> Sequence[str]:
    """One look a deployment, however many of its runs are parked."""
    found: list[str] = []
    begin = " "
    while True:
        rows = table.query(
            f"#due_pk = :due_pk AND #{DUE_RANGE} > :begin",
            {"due_pk": keys.parked_partition(pool), "begin": begin},
            index=True, page=1,
        )  # fmt: skip
        row = next(rows, None)
        if row is None:
            return found
        found.append(keys.parked_sort(row[DUE_RANGE])[2])
        begin = f"{found[-1]}#{keys.LAST}"


def parked_runs(table: Table, pool: str, deployment_id: str, limit: int) -> Sequence[Candidate]:
    rows = table.query(
        f"#due_pk = :due_pk AND begins_with(#{DUE_RANGE}, :begin)",
        {"due_pk": keys.parked_partition(pool), "begin": f"{deployment_id}#"},
        index=True, page=limit,
    )  # fmt: skip
    return [_candidate(*keys.parked_sort(row[DUE_RANGE])) for row in islice(rows, limit)]


def _candidate(due_at: datetime, run_id: str, deployment_id: str) -> Candidate:
    return Candidate(run_id, due_at, deployment_id)


# deleting


def delete_run(table: Table, run: FlowRun) -> None:
    """The run with everything that is stored of it, in one commit."""
    for _ in range(_TRIES):
        stored = list(table.query("#pk = :pk", {"pk": run_key(run.id)[0]}, only="#pk, #sk, #v"))
        if run.version not in [each["v"] for each in stored if each[RANGE] == HOT]:
            break
        if not run.is_final and (run.was_admitted or run.is_active):
            raise IllegalMove(f"run {run.id} is {run.state.name}: it can be deleted once it has ended; cancel it first")
        requests = [each for each in stored if each[RANGE].startswith("request#")]
        for each in requests[_REQUESTS_AT_ONCE:]:  # nobody asks for them any more
            table.write(delete((each[HASH], each[RANGE])))
        rest = [
            delete((e[HASH], e[RANGE])) for e in stored if e not in requests[_REQUESTS_AT_ONCE:] and e[RANGE] != HOT
        ]
        rest += [delete(parts_of(run).card), *_release_key(table, run)]
        try:
            table.commit([delete(run_key(run.id), "#v = :v", v=run.version), *rest])
        except Cancelled as cancelled:
            if 0 in cancelled.lost:
                break
        else:
            return
    raise RunChanged(f"run {run.id} is not at version {run.version} any more")


def _release_key(table: Table, run: FlowRun) -> list[Action]:
    """A key without its run could answer nothing; one that is another run's by now stays."""
    if run.idempotency_key is None:
        return []
    key = keys.idempotency_key(run.deployment_id, run.idempotency_key)
    held = table.get(key)
    if held is None or held["run"] != run.id:
        return []
    return [delete(key, f"{ABSENT} OR #run = :run", run=run.id)]
