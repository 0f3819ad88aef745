"""What changes a run: admissions and moves, each one commit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.stores.firestore import owed, slots
from adapters.stores.firestore.commits import carry_out
from adapters.stores.firestore.database import Database, Fields, Seen, Write
from adapters.stores.firestore.documents import packed, run_fields, size, unpacked
from adapters.stores.firestore.names import request_path, run_path, slot_path
from adapters.texts import json_text
from dispatcher.documents import from_json, to_json
from dispatcher.errors import AdmissionRefused, RunChanged, TooLarge
from dispatcher.ports import Admission, Move, Request
from dispatcher.runs import FlowRun, Slot, Target

# Of moves that go together. Firestore's limit is 10 MiB; once it was 500 writes too, and so much is enough.
_COMMIT_BYTES, _COMMIT_WRITES = 3_000_000, 500


# admission


def admit(database: Database, admissions: Sequence[Admission]) -> None:
    runs = {run_path(each.before.id): (each.before, run_fields(each.after)) for each in admissions}
    requests = [_request(each) for each in admissions]
    holds: dict[str, Fields] = {}
    for each in admissions:
        holds |= slots.holds(each.after, each.check_at)
    asked = {slot_path(slot): slot for each in admissions for slot in each.after.slots}
    twice, named_twice = _doubles(admissions)

    def plan(seen: Seen) -> list[Write]:
        changed = {run.id for path, (run, _) in runs.items() if not _is_as(run, path, seen)}
        taken = {slot for path, slot in asked.items() if path in seen}
        if changed or taken or twice or named_twice:
            raise AdmissionRefused(taken=taken | twice, changed=changed | named_twice)
        moved = [Write("update", path, fields, seen[path].at) for path, (_, fields) in runs.items()]
        return [*moved, *(Write("create", path, holds[path]) for path in holds), *requests]

    needs = {path: {"version": run.version} for path, (run, _) in runs.items()}
    if admissions:
        carry_out(database, plan, needs=needs, news=asked)


def _is_as(run: FlowRun, path: str, seen: Seen) -> bool:
    return path in seen and seen[path].says({"version": run.version})


def _doubles(admissions: Sequence[Admission]) -> tuple[set[Slot], set[str]]:
    """Slots and runs that the batch names twice."""
    names = Counter(slot for each in admissions for slot in each.after.slots)
    runs = Counter(each.before.id for each in admissions)
    return {slot for slot, times in names.items() if times > 1}, {run for run, times in runs.items() if times > 1}


def _request(admission: Admission) -> Write:
    run = admission.after
    body = packed(json_text(admission.request.body, f"the request of run {run.id}"))
    fields = {"target": to_json(admission.request.target), "body": body}
    return Write("put", request_path(run.id, run.attempt), fields)


def request(database: Database, run_id: str, attempt: int) -> Request | None:
    found = database.get(request_path(run_id, attempt))
    if found is None:
        return None
    return Request(from_json(Target, found.fields["target"]), json.loads(unpacked(found.fields["body"])))


# moves


@dataclass(frozen=True, slots=True)
class _Change:
    """A move as it will be written, but for what is there."""

    before: FlowRun
    fields: dict[str, Any]
    releases: dict[str, Fields]
    noted: dict[str, Any]  # of the active entry
    entry: dict[str, Fields]
    debts: dict[str, Write]

    @property
    def path(self) -> str:
        return run_path(self.before.id)

    @property
    def needs(self) -> dict[str, Fields]:
        return {self.path: {"version": self.before.version}, **self.releases, **self.entry}

    @property
    def most_writes(self) -> int:
        return len(self.needs) + len(self.debts)

    def writes(self, seen: Seen) -> Iterator[Write]:
        """:raises RunChanged: the run is not as it was."""
        if not _is_as(self.before, self.path, seen):
            raise RunChanged(f"run {self.before.id} is not at version {self.before.version} any more")
        yield Write("update", self.path, self.fields, seen[self.path].at)
        yield from slots.released(seen, self.releases)
        for path, said in self.entry.items():
            if path in seen and seen[path].says(said):
                yield Write("update", path, self.noted, seen[path].at)
        yield from (self.debts[path] for path in self.debts if path not in seen)


def _change(move: Move) -> _Change:
    before, after = move.before, move.after
    noted = slots.note(after, slots=before.slots != after.slots, check_at=move.check_at)
    its_own = {"run": after.id, "attempt": after.attempt}
    debts = [owed.new(entry) for entry in reversed(move.outbox)]
    return _Change(
        before=before,
        fields=run_fields(after),
        releases=slots.held_by(after, dict.fromkeys(slot for slot in before.slots if slot not in after.slots)),
        noted=noted,
        entry={slot_path(after.slots[0]): its_own} if noted else {},
        debts={debt.path: debt for debt in debts},
    )


def move(database: Database, wanted: Move) -> None:
    change = _change(wanted)
    carry_out(database, lambda seen: list(change.writes(seen)), needs=change.needs, news=change.debts)


def move_each(database: Database, moves: Sequence[Move]) -> frozenset[str]:
    """As many in one commit as fit; if that is too large for Firestore, each alone."""
    changes = [_change(each) for each in moves]
    lost: set[str] = set()
    for some in _parts(changes):
        try:
            lost |= _make(database, some)
        except TooLarge:
            if len(some) == 1:
                raise
            for each in some:
                lost |= _make(database, [each])
    return frozenset(lost)


def _parts(changes: Sequence[_Change]) -> Iterator[list[_Change]]:
    """A run that is moved twice is moved twice, one after the other."""
    part: dict[str, _Change] = {}
    left, writes_left = _COMMIT_BYTES, _COMMIT_WRITES
    for change in changes:
        bytes_, writes = size(change.fields), change.most_writes
        if part and (left < bytes_ or writes_left < writes or change.path in part):
            yield list(part.values())
            part, left, writes_left = {}, _COMMIT_BYTES, _COMMIT_WRITES
        part[change.path] = change
        left, writes_left = left - bytes_, writes_left - writes
    if part:
        yield list(part.values())


def _make(database: Database, changes: Sequence[_Change]) -> set[str]:
    """Those that are as they were, in one commit; the ids of the others."""
    lost: set[str] = set()

    def plan(seen: Seen) -> list[Write]:
        lost.clear()
        writes: list[Write] = []
        for change in changes:
            try:
                writes += change.writes(seen)
            except RunChanged:
                lost.add(change.before.id)
        return writes

    needs = {path: said for change in changes for path, said in change.needs.items()}
    carry_out(database, plan, needs=needs, news=[path for each in changes for path in each.debts])
    return lost
