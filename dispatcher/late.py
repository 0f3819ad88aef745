"""Late runs that somebody wants to hear of: told once each. Late itself is computed when read, never written."""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher import records
from dispatcher.context import Context
from dispatcher.ends import notice
from dispatcher.logs import log
from dispatcher.ports import Candidate, Move
from dispatcher.runs import LATE_AFTER, FlowRun, Name, amended, shown_name

LOOKED_AT = 20  # the oldest of each queue
BATCH = 100


def notice_late(context: Context, pool: str, queues: Sequence[str] | None = None) -> None:
    """Of each queue, or of those named, the oldest LOOKED_AT are counted, and told."""
    if queues is None:
        queues = [queue.name for queue in records.queues_of(context.store, pool)]
    now = context.clock.now()
    late: list[Candidate] = []
    for queue in queues:
        late += context.store.due(pool, queue, now - LATE_AFTER, limit=LOOKED_AT).items
    if not late:
        return
    overdue = now - min(item.due_at for item in late)
    log.info("runs late", extra={"pool": pool, "late": len(late), "overdue_seconds": overdue.total_seconds()})
    found = context.store.get_runs([item.run_id for item in late])
    runs = [run for run in found.values() if _is_wanted(run)]
    moves = [
        Move(run, amended(run, late_noticed=True), outbox=(notice(run, "late", now),))
        for run in runs
        if shown_name(run, now) is Name.LATE
    ]
    for start in range(0, len(moves), BATCH):
        context.store.move_each(moves[start : start + BATCH])


def _is_wanted(run: FlowRun) -> bool:
    return "late" in run.policy.notify and not run.late_noticed
