"""Submissions in parallel, and their outcomes recorded in few commits.

Invariant: whatever happens to a submission here, the run's active entry says when to look after it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta

from dispatcher.context import Context
from dispatcher.disowning import disown
from dispatcher.errors import Misconfigured, RunChanged, SecretsUnavailable, Unreachable
from dispatcher.logs import log
from dispatcher.ports import (
    Accepted,
    Admission,
    Infrastructure,
    Move,
    NotNow,
    Outcome,
    PoolUnavailable,
    Rejected,
    Submission,
    Traits,
    Unknown,
)
from dispatcher.rendering import submission
from dispatcher.runs import FlowRun, Target
from dispatcher.secret_values import revealed, starred
from dispatcher.submissions import Recorded, recorded
from dispatcher.watch import traits_at

TRIES = 5  # to record an outcome on a run that others change
RECORDED_AT_ONCE = 100


class Submitter:
    """Sends what was admitted, `parallel` at a time, and records what comes back. Threads end with `close`.

    One a pass: `start` and `drain` are called from one thread.
    """

    def __init__(self, context: Context, infrastructure: Infrastructure, threads: ThreadPoolExecutor) -> None:
        self._context = context
        self._infrastructure = infrastructure
        self._threads = threads
        self._flying: dict[Future[Outcome], Admission] = {}
        self.accepted = 0
        self.answered = 0  # with a word on the job itself, so the pool is there
        self.unavailable: PoolUnavailable | None = None

    def start(self, admitted: Sequence[Admission]) -> None:
        """Send them; record what has come back of earlier ones; wait only when too many are on their way."""
        latest = self._context.clock.now() + self._infrastructure.traits.submit_deadline
        for item in admitted:
            self._flying[self._threads.submit(self._send, item, latest)] = item
        self._collect(leave=2 * self._infrastructure.traits.parallel)

    def drain(self) -> None:
        """Wait for every answer and record it."""
        self._collect(leave=0)

    def abandon(self) -> None:
        """Nothing goes on behind a pass that is over: what has not begun is not sent, what has is waited for.

        A function whose call has ended is frozen, and would send the rest whenever it is called again.
        """
        begun = [future for future in self._flying if not future.cancel()]
        wait(begun)
        self._flying.clear()

    def _collect(self, leave: int) -> None:
        while self._flying:
            enough = len(self._flying) <= leave
            done, _ = wait(self._flying, timeout=0 if enough else None, return_when=FIRST_COMPLETED)
            if not done:
                return
            self._record([(self._flying.pop(future).after, future.result()) for future in done])

    def _send(self, item: Admission, latest: datetime) -> Outcome:
        if self._context.clock.now() >= latest:
            return self._unsent(item)
        return send(self._context, self._infrastructure, submission(item, self._context.keys), item.after)

    def _unsent(self, item: Admission) -> Outcome:
        """Somebody else may be at it by now, and repeats it with its token; where there is none, nobody does."""
        life = traits_at(self._infrastructure, item.request.target).token_life
        return NotNow("not sent in time") if life == timedelta(0) else Unknown("not sent in time")

    def _record(self, answers: Sequence[tuple[FlowRun, Outcome]]) -> None:
        """In one commit where nothing changed meanwhile, one by one where it did."""
        planned = [(run, outcome, self._planned(run, run.attempt, outcome)) for run, outcome in answers]
        moves = [item.move for _, _, item in planned if item.move is not None]
        changed: set[str] = set()
        for start in range(0, len(moves), RECORDED_AT_ONCE):
            changed |= self._context.store.move_each(moves[start : start + RECORDED_AT_ONCE])
        for run, outcome, item in planned:
            self._count(outcome)
            if run.id in changed:
                record(self._context, self._infrastructure, run, outcome, first=True)
            elif item.cancel is not None:
                _let_go(self._context, self._infrastructure, run, item.cancel)

    def _count(self, outcome: Outcome) -> None:
        self.accepted += isinstance(outcome, Accepted)
        self.answered += isinstance(outcome, Accepted | NotNow | Rejected)
        if isinstance(outcome, PoolUnavailable):
            self.unavailable = outcome

    def _planned(self, run: FlowRun, attempt: int, outcome: Outcome) -> Recorded:
        context = self._context
        return recorded(
            run, attempt, outcome, first=True, now=context.clock.now(),
            traits=_traits(self._infrastructure, run), patience=context.patience,
        )  # fmt: skip


def _traits(infrastructure: Infrastructure, sent: FlowRun) -> Traits:
    attempt = sent.current
    return traits_at(infrastructure, attempt.target) if attempt is not None else infrastructure.traits


def send(context: Context, infrastructure: Infrastructure, sent: Submission, run: FlowRun) -> Outcome:
    """One submission, its secrets put in. An adapter that raises has broken its contract: nothing is known then."""
    outcome: Outcome
    secrets = [sent.token]

    def look_up(name: str) -> str:
        secrets.append(context.secret(name))
        return secrets[-1]

    try:
        body = revealed(sent.request.body, look_up)
    except SecretsUnavailable as exc:
        outcome = PoolUnavailable(str(exc))
    except Misconfigured as exc:
        outcome = Rejected(str(exc))  # of this job alone: the pool's others go on
    except Unreachable as exc:
        outcome = NotNow(str(exc))  # nothing was sent
    else:
        sent = replace(sent, request=replace(sent.request, body=body))
        outcome = _starred(_submitted(infrastructure, sent, run, secrets), secrets)
    lag = context.clock.now() - run.due_at
    log.info(
        "run submitted",
        extra={
            "run": run.id,
            "attempt": run.attempt,
            "pool": run.pool,
            "outcome": type(outcome).__name__,
            "lag_seconds": round(lag.total_seconds(), 3),
        },
    )
    return outcome


def _submitted(infrastructure: Infrastructure, sent: Submission, run: FlowRun, secrets: Sequence[str]) -> Outcome:
    try:
        return infrastructure.submit(sent)
    except Exception as exc:  # noqa: BLE001  # the one boundary: an adapter's bug is an unknown outcome
        trace = starred("".join(traceback.format_exception(exc)), secrets)
        log.error(
            "submission raised",
            extra={"run": run.id, "attempt": run.attempt, "pool": run.pool, "trace": trace},
        )
        return Unknown(f"{type(exc).__name__} in the adapter")


def _starred(outcome: Outcome, secrets: Sequence[str]) -> Outcome:
    """A cloud may quote what it refuses."""
    match outcome:
        case Accepted():
            return outcome
        case PoolUnavailable():
            return replace(outcome, reason=starred(outcome.reason, secrets))
        case NotNow() | Rejected() | Unknown():
            return replace(outcome, message=starred(outcome.message, secrets))


def record(context: Context, infrastructure: Infrastructure, sent: FlowRun, outcome: Outcome, *, first: bool) -> None:
    """Record the outcome of what was sent for the run as it was then, on the run as it is now."""
    for _ in range(TRIES):
        run = context.store.get_run(sent.id)
        if run is None:
            if isinstance(outcome, Accepted):
                _let_go(context, infrastructure, sent, outcome.handle)
            return
        plan = recorded(
            run, sent.attempt, outcome, first=first, now=context.clock.now(),
            traits=_traits(infrastructure, sent), patience=context.patience,
        )  # fmt: skip
        if plan.move is None or _written(context, plan.move):
            if plan.cancel is not None:
                _let_go(context, infrastructure, sent, plan.cancel)
            return


def _written(context: Context, move: Move) -> bool:
    try:
        context.store.move(move)
    except RunChanged:
        return False
    return True


def cancel(infrastructure: Infrastructure, target: Target, handle: str) -> bool:
    """Ask the cloud to stop one. False if it cannot be reached: the entry's next look asks again."""
    try:
        infrastructure.cancel(target, handle)
    except Unreachable as exc:
        log.warning("cancel not delivered", extra={"handle": handle, "why": str(exc)})
        return False
    return True


def _let_go(context: Context, infrastructure: Infrastructure, sent: FlowRun, handle: str) -> None:
    """Stop what was started for a run that had moved on; there may be no entry by which it is looked after."""
    if not cancel(infrastructure, _target(sent), handle):
        disown(context, sent, _target(sent), handle)


def _target(run: FlowRun) -> Target:
    attempt = run.attempts[-1]
    return attempt.target


def targets(runs: Iterable[FlowRun]) -> dict[Target, list[FlowRun]]:
    """Runs by where their current attempt was sent."""
    grouped: dict[Target, list[FlowRun]] = {}
    for run in runs:
        grouped.setdefault(_target(run), []).append(run)
    return grouped
