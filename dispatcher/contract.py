"""What every store refuses before it writes anything: calls that break the contract in `ports`, whatever is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dispatcher.errors import InvalidInput
from dispatcher.ports import Admission, Move
from dispatcher.runs import FlowRun, StateType, pool_limit

MOST_ADMISSIONS, MOST_MOVES = 25, 100  # in one call


def check_aware(moment: datetime | None, what: str) -> None:
    """:raises InvalidInput: it has no timezone; `what` says which time it is."""
    if moment is not None and moment.utcoffset() is None:
        raise InvalidInput(f"{what} is {moment.isoformat()}, without a timezone; times are aware UTC", path=what)


def check_admissions(admissions: Sequence[Admission]) -> None:
    """:raises InvalidInput: too many, or one that is not PENDING with a slot of its pool as the first."""
    if len(admissions) > MOST_ADMISSIONS:
        raise InvalidInput(f"{len(admissions)} admissions in one commit; at most {MOST_ADMISSIONS} fit")
    for each in admissions:
        check_aware(each.check_at, "check_at")
        _check_step(each.before, each.after)
        after = each.after
        if after.state.type is not StateType.PENDING:
            raise InvalidInput(f"run {after.id} is admitted to {after.state.name}; an admitted run is PENDING")
        if not after.slots or after.slots[0].limit != pool_limit(after.pool):
            raise InvalidInput(f"run {after.id} is admitted without a slot of pool {after.pool!r} as its first")


def check_moves(moves: Sequence[Move]) -> None:
    """:raises InvalidInput: too many, or one that takes slots or changes what never changes."""
    if len(moves) > MOST_MOVES:
        raise InvalidInput(f"{len(moves)} moves at once; at most {MOST_MOVES} fit")
    for move in moves:
        check_aware(move.check_at, "check_at")
        _check_step(move.before, move.after)
        if not set(move.after.slots) <= set(move.before.slots):
            raise InvalidInput(f"run {move.after.id} is moved into new slots; only an admission takes slots")


def _check_step(before: FlowRun, after: FlowRun) -> None:
    if after.id != before.id:
        raise InvalidInput(f"run {before.id} cannot become run {after.id}")
    if after.version <= before.version:
        raise InvalidInput(f"run {before.id} would stay at version {before.version}; a change makes it higher")
    for what in ("parameters", "job_variables"):
        old, new = getattr(before, what), getattr(after, what)
        if new is not old and new != old:
            raise InvalidInput(f"run {before.id} would get other {what}; they never change", path=what)
