"""The seams: what the core asks of a store, of infrastructure, of a waker and of a clock.

Each has one conformance suite in `dispatcher.testing`; whatever passes it can stand here. All calls are
synchronous and safe from several threads. Datetimes are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from dispatcher.runs import FlowRun, Slot, StateType, Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the catalogue: a pool, queue, deployment, pulse, API key, …; stores do not read its JSON body.

    `parent` groups records for listing (a queue's and a deployment's is their pool). `version` 0 is "not stored".
    """

    kind: str
    key: str
    body: Mapping[str, Any]
    parent: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a schedule's runs have been made.

    `next_at` None: none will be made; a paused one goes on at `held_at`.
    """

    schedule_id: str
    deployment: str
    next_at: datetime | None
    schedule_version: int
    held_at: datetime | None = None
    pool: str = ""  # a hint: whom to wake when a date comes near
    version: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that the due or the parked index names. Possibly stale; claims nothing."""

    run_id: str
    due_at: datetime
    deployment_id: str


@dataclass(frozen=True, slots=True)
class ActiveEntry:
    """The pool's slot record of an active run. `check_at`: when somebody must have heard of the attempt."""

    slot: Slot
    run_id: str
    attempt: int
    pool: str
    queue: str
    deployment_id: str
    slots: tuple[Slot, ...]  # all that the run holds, the pool's first
    check_at: datetime
    heard_at: datetime | None = None  # the last heartbeat


@dataclass(frozen=True, slots=True)
class Request:
    """A rendered submission without its token: the same bytes to the same place, whatever is changed since."""

    target: Target
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Admission:
    """SCHEDULED → PENDING/Submitting: the run as read, as it becomes (with its slots), and its request."""

    before: FlowRun
    after: FlowRun
    request: Request
    check_at: datetime


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Something owed to the outside, written in the commit that made it due: `cleanup`, `cancel` or `notify`.

    `id` is made of what it is for, so writing it twice writes one.
    """

    id: str
    kind: str
    pool: str
    run_id: str
    due_at: datetime
    body: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """One conditional change of a run. `check_at` None leaves the active entry's as it is."""

    before: FlowRun
    after: FlowRun
    check_at: datetime | None = None
    outbox: tuple[OutboxEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` calls at once, refilled at `per_second`."""

    burst: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Window:
    """At most `calls` in any span of `within`, however they fall."""

    calls: int
    within: timedelta

    @property
    def burst(self) -> int:
        return self.calls

    @property
    def per_second(self) -> float:
        """In the long run."""
        return self.calls / self.within.total_seconds()


Limit: TypeAlias = Rate | Window


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; None and empty mean any. Newest `scheduled_time` first."""

    deployment: str | None = None
    pool: str | None = None
    queue: str | None = None
    types: frozenset[StateType] = frozenset()
    names: frozenset[str] = frozenset()  # stored state names; Late is not one
    tags: frozenset[str] = frozenset()  # all of them
    since: datetime | None = None  # scheduled_time, inclusive
    until: datetime | None = None  # scheduled_time, exclusive


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`after` is opaque: pass it on for the next page; None is the last."""

    items: tuple[T, ...]
    after: str | None = None


class Store(Protocol):
    """Everything that is remembered. Every write is conditional; nothing here reads a clock.

    :raises StoreUnavailable: any method: busy, throttled, out of reach; the call had no effect or a repeat has none.
    :raises StoreUnusable: any method: a person must act.
    """

    # catalogue
    def get(self, kind: str, key: str) -> Record | None: ...

    def put(self, record: Record) -> Record:
        """Store it if the stored version still is `record.version` (0: absent); returns it with its new version.

        :raises RecordChanged: it is not.
        """
        ...

    def delete(self, record: Record) -> None:
        """Remove it if its stored version is `record.version`.

        :raises RecordChanged: it is not.
        """
        ...

    def list(self, kind: str, *, parent: str | None = None, after: str | None = None, limit: int = 200) -> Page[Record]:
        """By key, ascending."""
        ...

    # schedules
    def get_cursor(self, schedule_id: str) -> Cursor | None: ...

    def put_cursor(self, cursor: Cursor) -> Cursor:
        """As `put`. :raises RecordChanged:"""
        ...

    def delete_cursor(self, cursor: Cursor) -> None:
        """As `delete`. :raises RecordChanged:"""
        ...

    def cursors_due(self, before: datetime, *, limit: int) -> Sequence[Cursor]:
        """`next_at <= before`, earliest first."""
        ...

    def create_scheduled(self, cursor: Cursor, runs: Sequence[FlowRun], next_at: datetime | None) -> Cursor:
        """One commit: the cursor moves on, and those of `runs` (at most 20) whose id is new come to be.

        :raises RecordChanged: the cursor is not as read; nothing was created.
        """
        ...

    # runs
    def create_run(self, run: FlowRun, *, keep_key_until: datetime | None = None) -> FlowRun:
        """Create `run` unless its id, or its deployment's `idempotency_key` (kept until then), is taken.

        Returns the run that is stored: `run` itself, or the one that was there before.
        """
        ...

    def get_run(self, run_id: str) -> FlowRun | None: ...

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        """Those that exist, as they are now (strongly consistent)."""
        ...

    def due(self, pool: str, queue: str, before: datetime, *, after: str | None = None, limit: int) -> Page[Candidate]:
        """SCHEDULED, not parked, `due_at <= before`; oldest `due_at` first, then id. May be stale."""
        ...

    def parked(self, pool: str) -> Sequence[str]:
        """Ids of deployments that have parked runs in the pool; may name one that has none left."""
        ...

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Sequence[Candidate]:
        """Oldest `due_at` first. May be stale."""
        ...

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        """Every active entry of the pool, strongly consistent."""
        ...

    def held(self, limit: str) -> Mapping[str, str]:
        """Slot name → run id of everything held in a queue's or deployment's limit, strongly consistent."""
        ...

    def admit(self, admissions: Sequence[Admission]) -> None:
        """All of them (at most 25) in one commit: each slot record is new, each run is still as read.

        The requests are stored with it; runs leave the due and parked indexes; pool slots become active entries.

        :raises AdmissionRefused: nothing was admitted; names every taken slot and changed run it knows of.
        """
        ...

    def request(self, run_id: str, attempt: int) -> Request | None:
        """What the attempt's admission stored."""
        ...

    def move(self, move: Move) -> None:
        """One commit: the run is as `before` and becomes `after`.

        Slots that `after` lacks are removed; the outbox is written (entries whose id exists stay as they are).
        `check_at` may be applied a little later, or be lost.

        :raises RunChanged: the run is not as `before`; nothing was written.
        """
        ...

    def move_each(self, moves: Sequence[Move]) -> frozenset[str]:
        """`move` for each of at most 100 runs, each on its own, in few commits; returns the ids that had changed."""
        ...

    def beat(self, entry: Slot, run_id: str, attempt: int, *, heard_at: datetime, check_at: datetime) -> bool:
        """Set the active entry's times if it still is this run's and attempt's; False if it is not. One small write."""
        ...

    def restore_entry(self, run: FlowRun, check_at: datetime) -> None:
        """Put back slot records that an active run names and the store lacks; those held by another stay.

        :raises RunChanged: the run is not as given.
        """
        ...

    def drop_entry(self, entry: ActiveEntry) -> None:
        """Remove an entry whose run is gone, ended, or in another attempt; no effect if it is another run's by now."""
        ...

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]: ...

    def delete_run(self, run: FlowRun) -> None:
        """Remove a run that is final or was never admitted, with its requests and key.

        :raises RunChanged: it is not as read.
        """
        ...

    def purge(self, before: datetime, *, limit: int) -> int:
        """Forget at most `limit` runs and idempotency keys whose expiry is before that; returns how many."""
        ...

    # outbox
    def outbox_due(self, pool: str, before: datetime, *, limit: int) -> Sequence[OutboxEntry]: ...

    def put_outbox(self, entry: OutboxEntry) -> bool:
        """Write it unless its id exists; True if it was new."""
        ...

    def settle_outbox(self, entry: OutboxEntry, *, again_at: datetime | None = None) -> None:
        """Done with it: remove it, or owe it again at `again_at` with one more try; one that is gone stays gone."""
        ...

    # rates
    def spend(self, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
        """Take up to `wanted` calls from a budget that all invocations share; every rate must have room.

        A negative number gives back what was taken last and not used.
        """
        ...

    def room_at(self, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
        """When that budget will allow calls again, if nobody else takes them; `now` if it does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an adapter renders into its cloud's request. `environment` is ours, set last, without the token."""

    pool: str
    run_id: str
    run_name: str
    deployment: str
    attempt: int
    submit_seq: int
    configuration: Mapping[str, Any]  # the resolved job_configuration
    environment: Mapping[str, str]
    timeout_seconds: int | None = None
    refusals: int = 0  # how often the run could not be started where it was sent: with several places, which is next


@dataclass(frozen=True, slots=True)
class Submission:
    """One try to start an attempt. The token goes into the environment as PUSHPOOL_RUN_TOKEN and nowhere else."""

    run_id: str
    attempt: int
    submit_seq: int
    request: Request
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The cloud returned a handle, or says that this very token or name exists."""

    handle: str
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotNow:
    """A definite no to this one request: throttled, no capacity. What was half-made is deleted."""

    message: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PoolUnavailable:
    """A definite no that holds for every job of the pool: credentials, roles, a missing cluster, a quota."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """This job can never start; the cloud's words."""

    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or one that tells nothing. It may have started."""

    message: str


Outcome: TypeAlias = Accepted | NotNow | PoolUnavailable | Rejected | Unknown


class Phase(StrEnum):
    """How far the cloud says an attempt is."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    MISSING = "missing"  # the cloud knows no such handle


class Cause(StrEnum):
    """Why a stopped attempt stopped."""

    EXITED = "exited"  # the command ended by itself; `exit_code` says how
    KILLED = "killed"  # by a signal, out of memory, a platform timeout
    INFRASTRUCTURE = "infrastructure"  # taken back, host lost, never started: nobody's fault; a free attempt
    REFUSED = "refused"  # it can never start as it is: image, command, permission
    STOPPED = "stopped"  # somebody asked the cloud to stop it


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The cloud's word on one attempt. `exit_code` only when STOPPED, and so is `cause`, with one exception:

    PENDING with INFRASTRUCTURE or REFUSED is one that the cloud has given up, and that may start yet: it is to be
    stopped.
    """

    phase: Phase
    handle: str = ""
    exit_code: int | None = None
    cause: Cause | None = None
    message: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A cloud's own word about an attempt of ours; may be doubled, late, out of order."""

    run_id: str
    attempt: int
    observation: Observation
    submit_seq: int | None = None  # of which submission; None: the cloud does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an infrastructure declares of itself."""

    token_life: timedelta | None = None  # how long a repeat of the same submission is safe; None: always
    visibility_delay: timedelta = timedelta(0)  # until `find` and MISSING are to be believed
    submit_deadline: timedelta = timedelta(seconds=30)  # a submission's call has answered or is unknown
    start_deadline: timedelta = timedelta(minutes=15)  # from submission to RUNNING
    rates: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)  # of `submit` and `cleanup`
    parallel: int = 16  # submissions at once
    cleanup_after: timedelta | None = None  # None: nothing is left behind
    pushes_events: bool = False
    enforces_timeout: bool = False
    parameters_bytes: int = 32_768  # longer PUSHPOOL_PARAMETERS are fetched by the runner
    describe_batch: int = 100


class Infrastructure(Protocol):
    """What a pool's jobs run on. One file each, and `open(settings) -> Infrastructure` in it for the registry."""

    @property
    def traits(self) -> Traits: ...

    def request(self, job: Job) -> Request:
        """The exact request, token left out; pure: the same job gives the same bytes.

        :raises InvalidInput: the configuration cannot be made into a request.
        """
        ...

    def submit(self, submission: Submission) -> Outcome:
        """One request to the cloud, no repeats inside; within `submit_deadline`. Whatever went wrong is an outcome."""
        ...

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        """What that submission started, with its handle; None if the cloud has nothing of it.

        :raises Unreachable: no answer.
        """
        ...

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One observation a handle (MISSING if the cloud knows none); those that got no answer are left out.

        :raises Unreachable: none did.
        """
        ...

    def cancel(self, target: Target, handle: str) -> None:
        """Ask for a stop; returning promises nothing. One that has stopped or is unknown is no error.

        :raises Unreachable: no answer.
        """
        ...

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        """Name (`console`, `logs`) → URL or path; pure."""
        ...

    def cleanup(self, target: Target, handle: str) -> None:
        """Remove what an ended attempt left; twice is no error. :raises Unreachable:"""
        ...

    def parse_event(self, raw: Mapping[str, Any]) -> Event | None:
        """The event as our words; None if it is not about an attempt of ours."""
        ...

    def diagnose(self, configuration: Mapping[str, Any]) -> Sequence[tuple[str, bool, str]]:
        """(check, passed, what to do) for `doctor`; starts nothing."""
        ...


@runtime_checkable
class Various(Protocol):
    """A further ability: infrastructure of which not everything holds wherever an attempt is sent."""

    def traits_of(self, target: Target) -> Traits:
        """Its traits, as they hold for attempts that are sent there."""
        ...


@runtime_checkable
class Watching(Protocol):
    """A further ability: infrastructure on this machine that tells of ends by itself."""

    def watch(self, tell: Tell) -> None:
        """From now on call `tell` with every end it sees, from a thread of its own."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A further ability: infrastructure that has threads or files of its own to give up."""

    def close(self) -> None: ...


@runtime_checkable
class Logs(Protocol):
    """A further ability: infrastructure that can hand out an attempt's output."""

    def log(self, target: Target, handle: str) -> str | None: ...


class Tell(Protocol):
    def __call__(self, event: Event, /) -> None: ...


class Waker(Protocol):
    """Asks for passes. A wake is a hint: a lost, doubled or late one is harmless."""

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        """Ask for a pass over the pool at `at` (None: now). Doubles for the same pool and second collapse.

        `hops` counts passes that woke themselves. Never raises; a wake that cannot be sent is logged.
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...
