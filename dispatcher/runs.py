"""A flow run, its states, and the table of legal moves with who may make each.

Invariant: a state changes only through `moved`, which refuses what the table does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from dispatcher.errors import IllegalMove

LATE_AFTER = timedelta(seconds=15)
HISTORY_KEPT = 40
ATTEMPTS_KEPT = 25
MESSAGE_KEPT = 2_000  # characters of a state's message


class StateType(StrEnum):
    """Prefect's state types that a pushed run goes through."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"


ACTIVE = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING})
FINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})


class Name(StrEnum):
    """State names, spelled as in Prefect; `Stopping` is ours."""

    SCHEDULED = "Scheduled"
    LATE = "Late"
    AWAITING_RETRY = "AwaitingRetry"
    AWAITING_CONCURRENCY_SLOT = "AwaitingConcurrencySlot"
    SUBMITTING = "Submitting"
    INFRASTRUCTURE_PENDING = "InfrastructurePending"
    RUNNING = "Running"
    CANCELLING = "Cancelling"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    CRASHED = "Crashed"
    CANCELLED = "Cancelled"


TYPE_OF: Mapping[Name, StateType] = {
    Name.SCHEDULED: StateType.SCHEDULED,
    Name.LATE: StateType.SCHEDULED,
    Name.AWAITING_RETRY: StateType.SCHEDULED,
    Name.AWAITING_CONCURRENCY_SLOT: StateType.SCHEDULED,
    Name.SUBMITTING: StateType.PENDING,
    Name.INFRASTRUCTURE_PENDING: StateType.PENDING,
    Name.RUNNING: StateType.RUNNING,
    Name.CANCELLING: StateType.CANCELLING,
    Name.STOPPING: StateType.CANCELLING,
    Name.COMPLETED: StateType.COMPLETED,
    Name.FAILED: StateType.FAILED,
    Name.TIMED_OUT: StateType.FAILED,
    Name.CRASHED: StateType.CRASHED,
    Name.CANCELLED: StateType.CANCELLED,
}


class Actor(StrEnum):
    """Who makes a move."""

    USER = "user"  # through the API
    DISPATCHER = "dispatcher"  # a pass: admits, submits, records
    CONTAINER = "container"  # a callback with the run's token
    CLOUD = "cloud"  # an event, or the answer to a reconciler's question


_USER, _DISPATCHER, _CONTAINER, _CLOUD = Actor
_ENDERS = frozenset({_CONTAINER, _CLOUD})
_S = StateType

MOVES: Mapping[tuple[StateType, StateType], frozenset[Actor]] = {
    (_S.SCHEDULED, _S.SCHEDULED): frozenset({_DISPATCHER}),  # parked, moved to another pool or queue
    (_S.SCHEDULED, _S.PENDING): frozenset({_DISPATCHER}),  # admission
    (_S.SCHEDULED, _S.CANCELLED): frozenset({_USER, _DISPATCHER}),  # cancelled, superseded, too late, orphaned
    (_S.SCHEDULED, _S.CRASHED): frozenset({_DISPATCHER}),  # its request cannot be made
    (_S.PENDING, _S.SCHEDULED): frozenset({_DISPATCHER, _CLOUD}),  # a definite no; an end that is retried
    (_S.PENDING, _S.PENDING): frozenset({_DISPATCHER, _CLOUD}),  # the handle is recorded
    (_S.PENDING, _S.RUNNING): _ENDERS,
    (_S.PENDING, _S.CANCELLING): frozenset({_USER, _DISPATCHER}),
    (_S.PENDING, _S.COMPLETED): frozenset({_CLOUD}),
    (_S.PENDING, _S.FAILED): frozenset({_CLOUD}),
    (_S.PENDING, _S.CRASHED): frozenset({_DISPATCHER, _CLOUD}),  # rejected; outcome unknown; stopped before it ran
    (_S.RUNNING, _S.RUNNING): frozenset({_DISPATCHER, _CONTAINER, _CLOUD}),  # claimed, or the handle recorded
    (_S.RUNNING, _S.CANCELLING): frozenset({_USER, _DISPATCHER, _CONTAINER}),  # the container: it was interrupted
    (_S.RUNNING, _S.SCHEDULED): _ENDERS,  # a retry
    (_S.RUNNING, _S.COMPLETED): _ENDERS,
    (_S.RUNNING, _S.FAILED): _ENDERS,
    (_S.RUNNING, _S.CRASHED): _ENDERS,
    (_S.CANCELLING, _S.CANCELLING): frozenset({_USER, _DISPATCHER, _CLOUD}),  # handle recorded; a stop becomes a cancel
    (_S.CANCELLING, _S.SCHEDULED): frozenset({_DISPATCHER, _CONTAINER, _CLOUD}),  # a retry
    (_S.CANCELLING, _S.COMPLETED): _ENDERS,  # it was done before the stop reached it
    (_S.CANCELLING, _S.FAILED): frozenset({_DISPATCHER, _CONTAINER, _CLOUD}),
    (_S.CANCELLING, _S.CRASHED): frozenset({_DISPATCHER, _CONTAINER, _CLOUD}),
    (_S.CANCELLING, _S.CANCELLED): frozenset({_DISPATCHER, _CONTAINER, _CLOUD}),
    (_S.COMPLETED, _S.SCHEDULED): frozenset({_USER}),
    (_S.FAILED, _S.SCHEDULED): frozenset({_USER}),
    (_S.CRASHED, _S.SCHEDULED): frozenset({_USER}),
    (_S.CANCELLED, _S.SCHEDULED): frozenset({_USER}),
}


@dataclass(frozen=True, slots=True)
class State:
    """One entry of a run's history."""

    name: Name
    at: datetime
    message: str = ""

    @property
    def type(self) -> StateType:
        return TYPE_OF[self.name]


class OnUnknown(StrEnum):
    """What becomes of an attempt of which nobody can tell whether it was started."""

    CRASH = "crash"
    RETRY = "retry"


class StopReason(StrEnum):
    """Why an attempt is being stopped; decides what is written when it has stopped."""

    CANCELLED = "cancelled"  # somebody asked: CANCELLED
    SUPERSEDED = "superseded"  # a newer run of its deployment takes its place: CANCELLED
    TIMED_OUT = "timed_out"  # FAILED/TimedOut, or a retry
    LOST = "lost"  # heartbeats stopped: CRASHED, or a retry
    NOT_STARTED = "not_started"  # over its start deadline, or given up by its cloud: a free attempt, or CRASHED
    REFUSED = "refused"  # it can never start, and its cloud has not given it up: CRASHED
    INTERRUPTED = "interrupted"  # its platform told it to stop: what the cloud then says of its end


@dataclass(frozen=True, slots=True)
class Stop:
    """What CANCELLING remembers."""

    reason: StopReason
    at: datetime
    message: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the numbered names that a limit consists of, or a run's id in an unlimited pool."""

    limit: str  # pool/P, queue/P/Q or deployment/ID
    name: str


def pool_limit(pool: str) -> str:
    return f"pool/{pool}"


def queue_limit(pool: str, queue: str) -> str:
    return f"queue/{pool}/{queue}"


def deployment_limit(deployment_id: str) -> str:
    return f"deployment/{deployment_id}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an attempt is sent; kept with the attempt, whatever the pool says later."""

    type: str
    account: str = ""
    region: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The deployment's word on an attempt, as it was at admission."""

    retries: int = 0
    retry_delay_seconds: int = 0
    timeout_seconds: int | None = None
    on_unknown: OnUnknown = OnUnknown.CRASH
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One life of a run on infrastructure."""

    number: int
    submit_seq: int
    target: Target
    admitted_at: datetime
    start_deadline: datetime
    key_id: str  # signs the run token
    token_expires: datetime
    handle: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    submitted_at: datetime | None = None  # when the cloud accepted it
    claimed_by: str | None = None  # the runner's instance id
    started: datetime | None = None
    ended: datetime | None = None
    outcome: str = ""
    exit_code: int | None = None
    log_tail: str = ""
    cleanup_seconds: int | None = None  # its cloud keeps things, to be removed that long after its end


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    """A run. `attempt` and `submit_seq` are those it is in, or will have when it is next admitted."""

    id: str
    name: str
    deployment_id: str
    deployment: str
    pool: str
    queue: str
    scheduled_time: datetime  # nominal
    due_at: datetime  # not admitted before
    state: State
    created: datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)  # never changes
    job_variables: Mapping[str, Any] = field(default_factory=dict)  # never changes
    tags: tuple[str, ...] = ()
    queue_pinned: bool = False  # named by the run itself: it stays there when its deployment moves
    schedule_id: str | None = None
    schedule_version: int = 0
    max_lateness_seconds: int | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""  # of the form that came with the key
    attempt: int = 1
    submit_seq: int = 1
    retries_used: int = 0
    free_attempts: int = 0  # given after infrastructure crashes
    parked: bool = False  # out of its queue's due index until its deployment has room
    late_noticed: bool = False
    policy: Policy = Policy()
    slots: tuple[Slot, ...] = ()  # the pool's first
    stop: Stop | None = None
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    attempts: tuple[Attempt, ...] = ()
    history: tuple[State, ...] = ()
    expires_at: datetime | None = None  # when a finished run may be forgotten
    version: int = 1

    @property
    def current(self) -> Attempt | None:
        """The attempt that `attempt` numbers, if it was ever admitted."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.number == self.attempt else None

    @property
    def is_active(self) -> bool:
        return self.state.type in ACTIVE

    @property
    def is_final(self) -> bool:
        return self.state.type in FINAL

    @property
    def was_admitted(self) -> bool:
        return bool(self.attempts)


def shown_name(run: FlowRun, now: datetime) -> Name:
    """The state's name as it reads at `now`: a SCHEDULED run over 15 s past due reads Late."""
    late = run.state.name is Name.SCHEDULED and now - run.due_at > LATE_AFTER
    return Name.LATE if late else run.state.name


def moved(run: FlowRun, to: Name, *, actor: Actor, at: datetime, message: str = "", **changes: Any) -> FlowRun:
    """`run` one version on, in state `to`; the old state joins the history.

    :raises IllegalMove: the table does not have the move, or not for this actor.
    """
    source, target = run.state.type, TYPE_OF[to]
    if actor not in MOVES.get((source, target), ()):
        raise IllegalMove(f"run {run.id}: {actor} cannot move it from {run.state.name} to {to}")
    state = State(to, at.astimezone(UTC), message[:MESSAGE_KEPT])
    history = (*run.history, state)[-HISTORY_KEPT:]
    return replace(run, state=state, history=history, version=run.version + 1, **changes)


def amended(run: FlowRun, **changes: Any) -> FlowRun:
    """`run` one version on, its state untouched."""
    return replace(run, version=run.version + 1, **changes)


def with_attempt(run: FlowRun, **changes: Any) -> tuple[Attempt, ...]:
    """The run's attempts, the current one changed."""
    assert run.current is not None, f"run {run.id} has no attempt {run.attempt}"
    return (*run.attempts[:-1], replace(run.current, **changes))
