"""What is found when a crowd has gone: read from the cloud's own log and from the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dispatcher.ports import RunFilter, Store
from dispatcher.runs import FlowRun, Name, queue_limit
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.crowd.commits import counts
from dispatcher.testing.proof.crowd.figures import Course, Crowd, Peak
from dispatcher.testing.proof.crowd.setting import LIMIT, POOL, QUEUES, Ground


def judged(store: Store, far: FarSide, ground: Ground, course: Course) -> Crowd:
    commits, runs = counts(ground.commits), list(_runs(store))
    started = Counter(start.run_id for start in far.started())
    return Crowd(
        course=course,
        peaks=_peaks(far),
        ended=Counter(run.state.name for run in runs),
        ended_again=tuple(run.id for run in runs if sum(past.name is Name.COMPLETED for past in run.history) > 1),
        containers={run.id: started[run.id] for run in runs},
        slots_left=_slots_left(store),
        made=commits.made,
        wasted=commits.wasted,
        troubles=_troubles(ground.troubles),
    )


def _peaks(far: FarSide) -> tuple[Peak, ...]:
    pool, queues = far.highest("pool"), far.highest("group")
    of_queues = (Peak(f"queue {name!r}", limit, queues.get(name, 0)) for name, limit in QUEUES.items())
    return Peak("the pool", LIMIT, pool.get(POOL, 0)), *of_queues


def _runs(store: Store) -> Iterator[FlowRun]:
    after: str | None = None
    while True:
        page = store.runs(RunFilter(pool=POOL), after=after, limit=200)
        yield from page.items
        if (after := page.after) is None:
            return


def _slots_left(store: Store) -> tuple[str, ...]:
    """Those of the pool and of its queues; when all is over, no run is active that could hold one."""
    entries = [f"{entry.slot.limit}/{entry.slot.name} of {entry.run_id}" for entry in store.active(POOL)]
    limits = [queue_limit(POOL, queue) for queue in QUEUES]
    return *entries, *(f"{limit}/{name} of {run}" for limit in limits for name, run in store.held(limit).items())


def _troubles(path: Path) -> Counter[str]:
    """How often each was logged; of what went wrong, the exception."""
    said = [json.loads(line) for line in path.read_text().splitlines()]
    return Counter(each.get("trace", each["what"]).splitlines()[-1] for each in said)
