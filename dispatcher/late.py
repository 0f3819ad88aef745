"""Late runs that somebody wants to hear of: told once each. Late itself is computed when read, never written."""

from __future__ import annotations

from dispatcher import records
from dispatcher.context import Context
from dispatcher.ends import notice
from dispatcher.ports import Move
from dispatcher.runs import LATE_AFTER, FlowRun, Name, amended, shown_name

LOOKED_AT = 20  # the oldest of each queue
BATCH = 100


def notice_late(context: Context, pool: str) -> None:
    now = context.clock.now()
    ids: list[str] = []
    for queue in records.queues_of(context.store, pool):
        page = context.store.due(pool, queue.name, now - LATE_AFTER, limit=LOOKED_AT)
        ids += [item.run_id for item in page.items]
    if not ids:
        return
    runs = [run for run in context.store.get_runs(ids).values() if _is_wanted(run)]
    moves = [
        Move(run, amended(run, late_noticed=True), outbox=(notice(run, "late", now),))
        for run in runs
        if shown_name(run, now) is Name.LATE
    ]
    for start in range(0, len(moves), BATCH):
        context.store.move_each(moves[start : start + BATCH])


def _is_wanted(run: FlowRun) -> bool:
    return "late" in run.policy.notify and not run.late_noticed
