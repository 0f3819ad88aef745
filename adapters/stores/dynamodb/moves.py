"""What changes a run: admissions and moves, each one conditional write or one transaction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait

from adapters.stores.dynamodb import owed, slots
from adapters.stores.dynamodb import runs as flow_runs
from adapters.stores.dynamodb.actions import PRESENT, Action, delete, put, update
from adapters.stores.dynamodb.calls import Cancelled, Table
from adapters.stores.dynamodb.documents import Written, cold_of, parts_of, payload_text, written
from adapters.stores.dynamodb.keys import Key, digest, request_key, run_key, seconds
from adapters.stores.dynamodb.table import HASH, RANGE
from adapters.stores.dynamodb.values import Item, item, packed, unpacked
from adapters.texts import json_text
from dispatcher.documents import from_json, to_json
from dispatcher.errors import AdmissionRefused, RunChanged
from dispatcher.ports import Admission, Move, Request
from dispatcher.runs import FlowRun, Slot, Target

_AS_READ = "#v = :was"


# admission


def admit(table: Table, admissions: Sequence[Admission]) -> None:
    """The requests first, each under its content, then the commit that names them."""
    news = [written(each.after) for each in admissions]
    requests = [_request_item(each) for each in admissions]
    changes = [_admitted(*each) for each in zip(admissions, news, requests, strict=True)]
    holds = [slots.holds(each.after, each.check_at) for each in admissions]
    _refuse_doubles(admissions)
    if not admissions:
        return
    table.put_all([*requests, *(new.cold for new in news if new.cold is not None)])
    named: list[Slot | str] = [each.before.id for each in admissions]
    named += [slot for each in admissions for slot in each.after.slots]
    try:
        table.transact([*changes, *(hold for some in holds for hold in some)])
    except Cancelled as cancelled:
        lost = [named[at] for at in cancelled.lost]
        taken = {one for one in lost if isinstance(one, Slot)}
        raise AdmissionRefused(taken=taken, changed={one for one in lost if isinstance(one, str)}) from cancelled


def _refuse_doubles(admissions: Sequence[Admission]) -> None:
    """DynamoDB takes no two actions on one item in a transaction."""
    runs = Counter(each.before.id for each in admissions)
    names = Counter(slot for each in admissions for slot in each.after.slots)
    changed = {run_id for run_id, times in runs.items() if times > 1}
    taken = {slot for slot, times in names.items() if times > 1}
    if changed or taken:
        raise AdmissionRefused(taken=taken, changed=changed)


def _admitted(admission: Admission, new: Written, request: Item) -> Action:
    """The run as it becomes; `request2` says where the second attempt's request is."""
    attempt = admission.after.attempt
    change, values = new.change(**{f"request{attempt}": request[RANGE]["S"].rpartition("#")[2]})
    return update(run_key(admission.before.id), change, _AS_READ, was=admission.before.version, **values)


def _request_item(admission: Admission) -> Item:
    """It is kept while somebody may speak for the attempt; after that nobody may repeat it either."""
    run = admission.after
    text = json_text(admission.request.body, f"the request of run {run.id}")
    target = to_json(admission.request.target)
    key = request_key(run.id, run.attempt, digest(target, text))
    over = run.current.token_expires if run.current is not None else None
    body = packed(text, near=payload_text(run) or "")  # it mostly carries the run's parameters
    return item(pk=key[0], sk=key[1], target=target, body=body, expires=seconds(over, "token_expires"))


def request(table: Table, run_id: str, attempt: int) -> Request | None:
    hot = table.get(run_key(run_id))
    name = hot.get(f"request{attempt}") if hot is not None else None
    found = table.get(request_key(run_id, attempt, name)) if name is not None else None
    run = flow_runs.whole(table, [hot]).get(run_id) if found is not None and hot is not None else None
    if found is None or run is None:
        return None
    text = unpacked(found["body"], near=payload_text(run) or "")
    return Request(from_json(Target, found["target"]), json.loads(text))


# moves


def move(table: Table, roster: flow_runs.Roster, change: Move) -> None:
    before, after = change.before, change.after
    new = written(after)
    debts = [owed.new(entry) for entry in {entry.id: entry for entry in reversed(change.outbox)}.values()]
    if (before.pool, before.queue) != (after.pool, after.queue):
        roster.add([after])
    old_cold = cold_of(before)
    if new.cold is not None and new.cold != old_cold:
        table.put_all([new.cold])
    removed = set(before.slots) - set(after.slots)
    noted = slots.note(after, slots=before.slots != after.slots, check_at=change.check_at)
    later = noted if not removed else None
    expression, values = new.change()
    must = [update(run_key(before.id), expression, _AS_READ, was=before.version, **values), *_kept_parts(before, after)]
    may = [*slots.releases(after.id, removed), *debts]
    if noted is not None and later is None:
        may.append(noted)
    try:
        table.commit(must, may)
    except Cancelled as cancelled:
        raise RunChanged(f"run {before.id} is not at version {before.version} any more") from cancelled
    if later is not None:
        table.try_write(later)  # by itself it is half the price, and a look that comes too early does no harm
    _forget_parts(table, before, new, old_cold)


def _kept_parts(before: FlowRun, after: FlowRun) -> list[Action]:
    """The parts of a run that had ended and goes on, kept: in the same commit, for they must not go while it lives."""
    if before.expires_at is None or after.expires_at is not None:
        return []
    return [put({**part, **item(life=after.version)}) for part in parts_of(after).items]


def _forget_parts(table: Table, before: FlowRun, new: Written, old_cold: Item | None) -> None:
    """After the end: the parts go when the run goes. If this is lost, who lists the run makes up for it."""
    after = new.run
    if after.expires_at is not None and after.expires_at != before.expires_at:
        for key in parts_of(after).keys:
            table.try_write(expiry(key, after))
    if old_cold is not None and (new.cold is None or old_cold[RANGE] != new.cold[RANGE]):
        table.try_write(delete((old_cold[HASH]["S"], old_cold[RANGE]["S"])))


def expiry(key: Key, run: FlowRun) -> Action:
    """Sets a part's; unless the run has gone on since: then its `life` is a later version's."""
    return update(
        key, "SET #expires = :expires", f"{PRESENT} AND (attribute_not_exists(#life) OR #life <= :version)",
        expires=seconds(run.expires_at, "expires_at") or 0, version=run.version,
    )  # fmt: skip


def move_each(make: Callable[[Move], None], changes: Sequence[Move], threads: Executor) -> frozenset[str]:
    """Each on its own, several at once; what goes wrong with one is told when all have been tried."""
    futures = {threads.submit(make, change): change.before.id for change in changes}
    wait(futures)
    lost: set[str] = set()
    for future, run_id in futures.items():
        try:
            future.result()
        except RunChanged:
            lost.add(run_id)
    return frozenset(lost)
