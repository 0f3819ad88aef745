"""Looking after what is overdue in a pool: ask the cloud in batches, and move the runs on.

Invariant: an entry that was looked at is gone or has a later `check_at`; nothing is asked twice within it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from dispatcher.context import Context
from dispatcher.errors import Misconfigured, RunChanged, StoreUnavailable, Unreachable
from dispatcher.logs import log
from dispatcher.ports import ActiveEntry, Infrastructure, Observation
from dispatcher.reconcile import Bench, Question, Verdict, judge, question
from dispatcher.rendering import submission_of
from dispatcher.runs import FlowRun
from dispatcher.submitting import cancel, record, send, targets
from dispatcher.watch import traits_at


class Tender:
    """One pool's overdue entries in one pass."""

    def __init__(self, context: Context, infrastructure: Infrastructure, *, away: bool, until: datetime) -> None:
        self._context = context
        self._infrastructure = infrastructure
        self._bench = Bench(infrastructure.traits, context.patience, away)
        self._until = until

    def tend(self, entries: Sequence[ActiveEntry]) -> bool:
        """Look after every entry whose `check_at` has come; True if a slot may have been freed.

        After we were away that is all of them: their beats could not be heard, whenever they would fall silent.
        """
        now = self._context.clock.now()
        overdue = {entry.run_id: entry for entry in entries if self._bench.away or entry.check_at <= now}
        if not overdue:
            return False
        runs = self._context.store.get_runs(list(overdue))
        known: list[FlowRun] = []
        for run_id, entry in overdue.items():
            run = runs.get(run_id)
            match question(run, entry):
                case Question.FORGET:
                    self._context.store.drop_entry(entry)
                    log.warning("entry without its run removed", extra={"run": run_id, "pool": entry.pool})
                case Question.FIND:
                    assert run is not None
                    self._guarded([run], overdue, partial(self._find, run, entry))
                case Question.DESCRIBE:
                    assert run is not None
                    known.append(run)
        for group in targets(known).values():
            for batch in _batches(group, self._infrastructure.traits.describe_batch):
                self._guarded(batch, overdue, partial(self._describe, batch, overdue))
        return True

    def _guarded(self, runs: Sequence[FlowRun], entries: Mapping[str, ActiveEntry], look: Callable[[], None]) -> None:
        """An adapter's bug in one look holds up neither the other looks nor what is due."""
        try:
            look()
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001  # the boundary between runs: what went wrong is in the log
            log.exception("look failed", extra={"runs": [run.id for run in runs], "pool": runs[0].pool})
            for run in runs:
                self._look_again(run, entries[run.id], self._context.clock.now() + self._context.patience.unreachable)

    def _find(self, run: FlowRun, entry: ActiveEntry) -> None:
        attempt = run.current
        assert attempt is not None
        if self._out_of_time():
            return
        try:
            seen = self._infrastructure.find(attempt.target, run.id, attempt.number, attempt.submit_seq)
        except Unreachable as exc:
            self._later(run, entry, str(exc))
            return
        self._apply(run, entry, seen)

    def _describe(self, runs: Sequence[FlowRun], entries: Mapping[str, ActiveEntry]) -> None:
        if self._out_of_time():
            return
        attempt = runs[0].current
        assert attempt is not None
        handles = {run.id: run.current.handle for run in runs if run.current and run.current.handle}
        try:
            seen = self._infrastructure.describe_many(attempt.target, list(handles.values()))
        except Unreachable as exc:
            for run in runs:
                self._later(run, entries[run.id], str(exc))
            return
        for run in runs:
            entry, found = entries[run.id], seen.get(handles[run.id])
            if found is None:
                self._later(run, entry, "no answer")
            else:
                self._guarded([run], entries, partial(self._apply, run, entry, found))

    def _out_of_time(self) -> bool:
        return self._context.clock.now() >= self._until

    def _later(self, run: FlowRun, entry: ActiveEntry, why: str) -> None:
        log.warning("cloud not reached", extra={"run": run.id, "pool": run.pool, "why": why})
        self._look_again(run, entry, self._context.clock.now() + self._context.patience.unreachable)

    def _look_again(self, run: FlowRun, entry: ActiveEntry, at: datetime) -> None:
        heard = entry.heard_at
        if self._bench.away and run.current is not None and run.current.claimed_by is not None:
            heard = self._context.clock.now()  # nobody could hear the beats: silence is counted from now on
        heard = heard or (run.current.started if run.current else None) or self._context.clock.now()
        self._context.store.beat(entry.slot, run.id, run.attempt, heard_at=heard, check_at=at)

    def _apply(self, run: FlowRun, entry: ActiveEntry, seen: Observation | None) -> None:
        now = self._context.clock.now()
        assert run.current is not None
        bench = replace(self._bench, traits=traits_at(self._infrastructure, run.current.target))
        verdict = judge(run, entry, seen, now=now, bench=bench)
        if verdict.look_again is not None:
            # First, so that two dispatchers do not both ask or repeat.
            self._look_again(run, entry, verdict.look_again)
        if verdict.move is not None and not self._moved(verdict):
            return
        self._tell(run, seen, verdict)

    def _moved(self, verdict: Verdict) -> bool:
        assert verdict.move is not None
        try:
            self._context.store.move(verdict.move)
        except RunChanged:
            return False
        after = verdict.move.after
        log.info(
            "run reconciled",
            extra={"run": after.id, "attempt": after.attempt, "pool": after.pool, "state": after.state.name},
        )
        return True

    def _tell(self, run: FlowRun, seen: Observation | None, verdict: Verdict) -> None:
        attempt = run.current
        assert attempt is not None
        handle = attempt.handle or (seen.handle if seen else None)
        if verdict.cancel and handle:
            cancel(self._infrastructure, attempt.target, handle)
        if verdict.resubmit:
            self._resubmit(run)

    def _resubmit(self, run: FlowRun) -> None:
        """The same bytes to the same place; whatever the answer, a no is not definite any more."""
        attempt = run.current
        assert attempt is not None
        request = self._context.store.request(run.id, attempt.number)
        if request is None:
            log.error("request of an admitted attempt is gone", extra={"run": run.id, "attempt": attempt.number})
            return
        try:
            sent = submission_of(run, attempt, request, self._context.keys)
        except Misconfigured as exc:
            log.error("submission not repeated", extra={"run": run.id, "attempt": attempt.number, "why": str(exc)})
            return
        outcome = send(self._context, self._infrastructure, sent, run)
        record(self._context, self._infrastructure, run, outcome, first=False)


def _batches(runs: Sequence[FlowRun], size: int) -> list[Sequence[FlowRun]]:
    return [runs[start : start + size] for start in range(0, len(runs), size)]
