"""Which slot names of a limit are free. A limit of n is the names 0 … n-1 and no other; reading is only advice.

Invariant: nothing here decides that a limit holds; creating the slot record does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.ports import ActiveEntry
from dispatcher.runs import Slot, deployment_limit, pool_limit, queue_limit


def free_names(limit: int | None, holders: Mapping[str, str], outside: int = 0) -> list[str] | None:
    """Names that may be taken now; None when there is no limit.

    `holders`: name → run id. `outside`: active runs that hold no name of this limit, as from before it was set.
    While a lowered limit drains, only 0 … m - 1 may be used, m being the limit less the holders outside that very
    range: the lowest free names, as many as the limit leaves room for. So the readings of all dispatchers, however
    stale, agree on which names are not to be used yet.
    """
    if limit is None:
        return None
    free = [str(n) for n in range(limit) if str(n) not in holders]
    return free[: max(0, limit - len(holders) - outside)]


@dataclass(slots=True)
class Held:
    """What is held in a pool, as read once and as this pass adds to it."""

    entries: list[ActiveEntry]
    deployments: dict[str, dict[str, str]] = field(default_factory=dict)  # deployment id → name → run id
    elsewhere: dict[str, int] = field(default_factory=dict)  # deployment id → active runs in former pools, nameless

    def in_pool(self, limit: int | None) -> list[str] | None:
        return free_names(limit, {entry.slot.name: entry.run_id for entry in self.entries})

    def in_queue(self, pool: str, queue: str, limit: int | None) -> list[str] | None:
        key = queue_limit(pool, queue)
        mine = [entry for entry in self.entries if entry.queue == queue]
        holders, outside = _split(key, mine)
        return free_names(limit, holders, outside)

    def in_deployment(self, deployment_id: str, limit: int | None) -> list[str] | None:
        key = deployment_limit(deployment_id)
        mine = [entry for entry in self.entries if entry.deployment_id == deployment_id]
        holders, outside = _split(key, mine)
        holders |= self.deployments.get(deployment_id, {})
        return free_names(limit, holders, outside + self.elsewhere.get(deployment_id, 0))

    def of_deployment(self, deployment_id: str) -> list[ActiveEntry]:
        return [entry for entry in self.entries if entry.deployment_id == deployment_id]


def _split(key: str, entries: Iterable[ActiveEntry]) -> tuple[dict[str, str], int]:
    """(name → run id of those that hold a name of the limit, how many hold none)."""
    holders: dict[str, str] = {}
    outside = 0
    for entry in entries:
        name = next((slot.name for slot in entry.slots if slot.limit == key), None)
        if name is None:
            outside += 1
        else:
            holders[name] = entry.run_id
    return holders, outside


def nameless(deployment_id: str, entries: Sequence[ActiveEntry]) -> int:
    """Active runs of the deployment among `entries` that hold no slot of its limit."""
    mine = [entry for entry in entries if entry.deployment_id == deployment_id]
    return _split(deployment_limit(deployment_id), mine)[1]


@dataclass(slots=True)
class Names:
    """Free names that are handed out one by one; None stands for no limit."""

    pool: str
    of_pool: list[str] | None
    of_queue: dict[str, list[str] | None]
    of_deployment: dict[str, list[str] | None]

    def lacks(self, queue: str, deployment_id: str) -> str | None:
        """`pool`, `queue` or `deployment`, whichever has no room; None if all have."""
        for what, names in (
            ("pool", self.of_pool),
            ("queue", self.of_queue.get(queue)),
            ("deployment", self.of_deployment.get(deployment_id)),
        ):
            if names is not None and not names:
                return what
        return None

    def take(self, run_id: str, queue: str, deployment_id: str) -> tuple[Slot, ...]:
        """One name of each limit, the pool's first; in an unlimited pool its name is the run's id."""
        slots = [Slot(pool_limit(self.pool), run_id if self.of_pool is None else self.of_pool.pop(0))]
        if (names := self.of_queue.get(queue)) is not None:
            slots.append(Slot(queue_limit(self.pool, queue), names.pop(0)))
        if (names := self.of_deployment.get(deployment_id)) is not None:
            slots.append(Slot(deployment_limit(deployment_id), names.pop(0)))
        return tuple(slots)
