"""A conditional change: planned from what is known, committed, and planned anew from what is there if it was lost.

A caller knows versions, Firestore's conditions know moments. A lost condition is therefore looked into: the documents
are read, and either the plan finds a version that is not as it was, and says so, or only a moment had changed (a
heartbeat on a slot, say), and it is tried again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from adapters.stores.firestore.database import STAMP, Database, Fields, Found, LostError, Seen, Write, paths_of
from adapters.tries import Tries
from dispatcher.errors import AdmissionRefused, StoreUnavailable

Plan: TypeAlias = Callable[[Seen], Sequence[Write]]
IsDone: TypeAlias = Callable[[Seen], bool]


def gone(path: str) -> IsDone:
    """Who deletes it finds it deleted."""
    return lambda seen: path not in seen


def carry_out(
    database: Database,
    plan: Plan,
    *,
    needs: Mapping[str, Fields],
    news: Collection[str] = (),
    afresh: bool = False,
    is_done: IsDone | None = None,
) -> None:
    """Commits what `plan` makes of the documents that are there; nothing if it makes nothing.

    `needs`: the documents that it must know, with what they are expected to say: one that is remembered so need not be
    read, unless all are wanted `afresh`. `news`: those that it takes for new until a commit was lost.

    A commit whose answer is lost and that then finds its conditions lost may have lost them to itself. All that it
    writes carries a stamp, so any one of its documents tells; of one that only deletes `is_done` tells.

    :raises PushpoolError: what `plan` raises.
    """
    tries, stamp = database.tries(), secrets.token_urlsafe(6)
    seen: dict[str, Found] = {} if afresh else database.recalled(needs)
    seen |= database.get_all(needs.keys() - seen.keys())
    try:
        if _commit(database, plan(seen), stamp, tries):
            return
    except AdmissionRefused:
        pass  # it is to name all that is in the way
    while True:
        seen = database.get_all(paths_of(needs, news))
        if tries.doubt and (is_done or _has(stamp))(seen):
            return
        if _commit(database, plan(seen), stamp, tries):
            return
        if not tries.wait():
            raise StoreUnavailable(f"{database.where}: too many others change the same documents; try again")


def _commit(database: Database, writes: Sequence[Write], stamp: str, tries: Tries) -> bool:
    """False: a condition was lost."""
    try:
        if writes:
            database.commit([_stamped(each, stamp) for each in writes], tries)
    except LostError:
        return False
    return True


def _stamped(write: Write, stamp: str) -> Write:
    return write if write.kind == "delete" else replace(write, fields={**write.fields, STAMP: stamp})


def _has(stamp: str) -> IsDone:
    """Something of the commit is there that nobody else writes; and it is there whole or not at all."""
    return lambda seen: any(found.fields.get(STAMP) == stamp for found in seen.values())
