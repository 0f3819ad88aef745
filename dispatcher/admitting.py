"""Reading, planning and committing admissions: the only caller of `Store.admit`.

Invariant: limits and pauses are read again before every commit; a run that lost its condition is dropped from the pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from dispatcher import ends, records
from dispatcher.admission import Plan, due_before, left_of, plan
from dispatcher.context import Context
from dispatcher.deployments import CollisionStrategy, Deployment
from dispatcher.errors import AdmissionRefused, InvalidInput, RunChanged, TooLarge
from dispatcher.feeds import Feeds
from dispatcher.limits import Held, nameless
from dispatcher.logs import log
from dispatcher.materialise import WAKE_AHEAD
from dispatcher.pacing import Pace
from dispatcher.pools import Spent, WorkPool, WorkQueue
from dispatcher.ports import ActiveEntry, Admission, Infrastructure, Move
from dispatcher.rendering import Place, admission
from dispatcher.runs import (
    LATE_AFTER,
    Actor,
    FlowRun,
    Name,
    Slot,
    StateType,
    Stop,
    StopReason,
    Target,
    deployment_limit,
    moved,
)
from dispatcher.settling import relocated
from dispatcher.submitting import Submitter

BATCH = 25  # runs in one commit: four items each fill DynamoDB's transaction of 100
WANT = 200
FIRST_REQUESTS = 8  # that are made before a cloud's budget is asked for them
REFUSALS = 8  # lost races after which a pass leaves the field to the others
PARKED = 50  # runs of one deployment that are taken up at once


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pass is limited to, as `pushpool dispatch` and `agent start` say it."""

    queues: frozenset[str] = frozenset()
    match: tuple[str, ...] = ()  # prefixes of queue names
    limit: int | None = None  # active runs that it may bring the pool to
    prefetch_seconds: int | None = None

    def has(self, queue: str) -> bool:
        if not self.queues and not self.match:
            return True
        return queue in self.queues or any(queue.startswith(prefix) for prefix in self.match)


EVERYTHING = Selection()

Pair: TypeAlias = tuple[FlowRun, tuple[Slot, ...]]  # who is to be admitted, and into which slots


@dataclass(slots=True)
class Admitted:
    """What came of it: how many, when to come back, and whether there is more to do now."""

    count: int = 0
    refusals: int = 0
    come_back: datetime | None = None
    more: bool = False
    queues: Sequence[str] | None = None  # those that may have late runs, if that was seen

    def by(self, at: datetime | None) -> None:
        if at is not None and (self.come_back is None or at < self.come_back):
            self.come_back = at


@dataclass(slots=True)
class _Catalogue:
    pool: WorkPool
    queues: list[WorkQueue]
    deployments: dict[str, Deployment] = field(default_factory=dict)  # by id; those that exist

    def versions(self) -> tuple[object, ...]:
        return (self.pool.version, tuple((q.name, q.version) for q in self.queues))


class Admitter:
    """One pool's admissions in one pass. `paced`: it waits where the cloud's budget is spent, as long as it may."""

    def __init__(
        self,
        context: Context,
        infrastructure: Infrastructure,
        submitter: Submitter,
        selection: Selection,
        *,
        until: datetime,
        room: int | None = None,
        paced: bool = False,
    ) -> None:
        self._context = context
        self._store = context.store
        self._infrastructure = infrastructure
        self.submitter = submitter
        self._selection = selection
        self._until = until - infrastructure.traits.submit_deadline
        self._room = room
        self._pace = Pace(context, infrastructure.traits.rates.get("submit", ()), waits=paced)
        self._result = Admitted()
        self._admitted: set[str] = set()
        self._held = Held([])
        self._is_raced = False  # others hold slots that were not seen
        self._carried: list[str] = []
        self._more_parked = False
        self._count_before = 0  # admitted when parked runs were last looked at

    def admit(self, pool: WorkPool, entries: Sequence[ActiveEntry]) -> Admitted:
        """Admit what may start, hand it to the submitter, and see to what may not. The pool is as it was just read."""
        self._held = Held(list(entries))
        catalogue = self._catalogue_of(pool)
        if catalogue is None:
            return self._result
        now = self._context.clock.now()
        feeds = Feeds(self._store, pool.name, due_before(catalogue.pool, now), now + WAKE_AHEAD)
        names = [queue.name for queue in catalogue.queues]
        self._carried = self._parked(catalogue)
        while catalogue is not None and self._goes_on():
            candidates = self._candidates(catalogue, feeds)
            if not candidates:
                break
            if self._is_raced:  # last of all reads: others are taking slots all the time
                self._held.entries, self._is_raced = list(self._store.active(pool.name)), False
            self._round(catalogue, candidates)
            self._let_refill()
            catalogue = self._catalogue(pool.name)
        self._result.by(self._wake_time(feeds, catalogue))
        if self._selection is EVERYTHING:
            self._result.queues = [name for name in names if not feeds.is_punctual(name, now - LATE_AFTER)]
        return self._result

    @property
    def spent(self) -> Spent | None:
        """The cloud's budget that was found used up."""
        return self._pace.spent

    def _goes_on(self) -> bool:
        if self.submitter.unavailable is not None or self._result.refusals > REFUSALS:
            return False
        return self._left() != 0 and self._has_time()

    def _has_time(self) -> bool:
        """Whether what is admitted now can still be submitted; if not, there is more to do for another pass."""
        self._result.more = self._context.clock.now() >= self._until
        return not self._result.more

    def _left(self) -> int | None:
        """How many more this pass may admit, apart from the limits."""
        left = [] if self._room is None else [self._room - self._result.count]
        if self._selection.limit is not None:
            left.append(self._selection.limit - len(self._held.entries))
        return max(0, min(left)) if left else None

    def _wake_time(self, feeds: Feeds, catalogue: _Catalogue | None) -> datetime | None:
        if feeds.next_due is None or catalogue is None:
            return None
        return feeds.next_due - timedelta(seconds=catalogue.pool.prefetch_seconds)

    # reading

    def _catalogue(self, name: str) -> _Catalogue | None:
        """The pool and its queues as they are now; None if nothing may be admitted."""
        pool = records.read(self._store, WorkPool, name)
        return self._catalogue_of(pool) if pool is not None else None

    def _catalogue_of(self, pool: WorkPool) -> _Catalogue | None:
        if pool.paused or pool.deleted:
            return None
        if self._selection.prefetch_seconds is not None:
            pool = replace(pool, prefetch_seconds=self._selection.prefetch_seconds)
        queues = [q for q in records.queues_of(self._store, pool.name) if self._selection.has(q.name)]
        return _Catalogue(pool, queues)

    def _candidates(self, catalogue: _Catalogue, feeds: Feeds) -> list[FlowRun]:
        """Runs as they are now: those carried over, and the next of the due index. Empty when there are no more."""
        pool = catalogue.pool
        free = self._held.in_pool(pool.concurrency_limit)
        if free is not None and not free:
            return []
        open_queues = [q for q in catalogue.queues if not q.paused and self._queue_has_room(pool, q)]
        want = 2 * BATCH if self._pace.is_limited else WANT  # where a rate is held, more would be read again and again
        want = want if free is None else min(want, len(free))
        while True:
            missing = want - len(self._carried)
            more = feeds.gather(open_queues, missing) if missing > 0 else []
            ids = [*self._carried, *(item.run_id for item in more)]
            if not ids and self._more_parked and self._result.count > self._count_before:
                ids = self._parked(catalogue)
            self._carried = []
            if not ids:
                return []
            runs = self._store.get_runs(list(dict.fromkeys(ids)))
            fresh = [run for run in runs.values() if run.state.type is StateType.SCHEDULED]
            if fresh:
                self._read_deployments(catalogue, fresh)
                return fresh

    def _queue_has_room(self, pool: WorkPool, queue: WorkQueue) -> bool:
        free = self._held.in_queue(pool.name, queue.name, queue.concurrency_limit)
        return free is None or bool(free)

    def _read_deployments(self, catalogue: _Catalogue, runs: Iterable[FlowRun]) -> None:
        for name in {run.deployment for run in runs}:
            deployment = records.read(self._store, Deployment, name)
            if deployment is not None:
                catalogue.deployments[deployment.id] = deployment
                self._read_held(deployment, catalogue.pool.name)

    def _read_held(self, deployment: Deployment, pool: str) -> None:
        if deployment.concurrency_limit is None:
            return
        self._held.deployments[deployment.id] = dict(self._store.held(deployment_limit(deployment.id)))
        others = [other for other in deployment.former_pools if other != pool]
        self._held.elsewhere[deployment.id] = sum(
            nameless(deployment.id, self._store.active(other)) for other in others
        )

    def _parked(self, catalogue: _Catalogue) -> list[str]:
        """Runs of deployments that have room again: one look a deployment, not one a waiting run."""
        found: list[str] = []
        self._more_parked, self._count_before = False, self._result.count
        for deployment_id in self._store.parked(catalogue.pool.name):
            first = self._store.parked_runs(catalogue.pool.name, deployment_id, limit=1)
            runs = self._store.get_runs([item.run_id for item in first])
            if not runs:
                continue
            self._read_deployments(catalogue, runs.values())
            limit = self._parked_wanted(catalogue.deployments.get(deployment_id))
            if limit:
                parked = self._store.parked_runs(catalogue.pool.name, deployment_id, limit=limit)
                found += [item.run_id for item in parked]
                self._more_parked |= len(parked) == PARKED
        return found

    def _parked_wanted(self, deployment: Deployment | None) -> int:
        if deployment is None:
            return PARKED
        if deployment.paused:
            return 0
        free = self._held.in_deployment(deployment.id, deployment.concurrency_limit)
        if deployment.collision_strategy is CollisionStrategy.CANCEL_RUNNING or free is None:
            return PARKED
        return min(len(free), PARKED)

    # doing

    def _round(self, catalogue: _Catalogue, candidates: list[FlowRun]) -> None:
        now = self._context.clock.now()
        for run in candidates:
            if run.due_at > now and run.due_at != run.scheduled_time:
                self._result.by(run.due_at)
        planned = plan(
            catalogue.pool, catalogue.queues, candidates, self._held,
            deployments=catalogue.deployments, now=now, room=self._left(),
        )  # fmt: skip
        self._set_aside(planned, catalogue, now)
        admissions = self._within_rate(planned.admit, catalogue, now)
        try:
            for start in range(0, len(admissions), BATCH):
                if not self._has_time() or not self._commit(admissions[start : start + BATCH], catalogue):
                    self._carried += [item.before.id for item in admissions[start + BATCH :]]
                    return
        finally:
            self._give_back(admissions, now)

    def _rendered(self, pairs: Iterable[Pair], catalogue: _Catalogue, now: datetime) -> list[Admission]:
        admissions = []
        for run, slots in pairs:
            try:
                admissions.append(admission(run, slots, self._place(run, catalogue), now))
            except InvalidInput as exc:
                self._crash(run, str(exc), now)
            except Exception as exc:  # noqa: BLE001  # an adapter's bug: this run must not stand in the others' way
                log.exception("request could not be made", extra={"run": run.id, "pool": run.pool})
                self._crash(run, f"{type(exc).__name__} in the adapter while its request was made", now)
        return admissions

    def _place(self, run: FlowRun, catalogue: _Catalogue) -> Place:
        return Place(
            catalogue.pool, catalogue.deployments[run.deployment_id], self._infrastructure,
            self._context.api_url, self._context.keys.current, self._context.patience,
        )  # fmt: skip

    def _crash(self, run: FlowRun, message: str, now: datetime) -> None:
        after, owed = ends.unstartable(run, message, now=now, patience=self._context.patience)
        log.error("run cannot be rendered", extra={"run": run.id, "pool": run.pool, "why": message})
        self._store.move_each([Move(run, after, outbox=owed)])
        self._result.by(now)  # for those that its slots can be given to

    def _set_aside(self, planned: Plan, catalogue: _Catalogue, now: datetime) -> None:
        moves, elsewhere = [], set()
        for run, reason in planned.cancel:
            after, owed = ends.cancelled(run, reason, actor=Actor.DISPATCHER, now=now, patience=self._context.patience)
            moves.append(Move(run, after, outbox=owed))
        moves += [Move(run, _parked_run(run, reason, now)) for run, reason in planned.park]
        for run in planned.relocate:
            if (move := relocated(run, catalogue.deployments[run.deployment_id])) is not None:
                moves.append(move)
                elsewhere.add(move.after.pool)
        for start in range(0, len(moves), 100):
            self._store.move_each(moves[start : start + 100])
        for pool in elsewhere:
            self._context.waker.wake(pool)
        for deployment_id in dict.fromkeys(planned.make_room):
            self._make_room(deployment_id, now)

    def _make_room(self, deployment_id: str, now: datetime) -> None:
        """Stop the deployment's oldest active run, unless one is being stopped already; it keeps its slot till then."""
        entries = self._held.of_deployment(deployment_id)
        runs = [run for run in self._store.get_runs([e.run_id for e in entries]).values() if run.is_active]
        if not runs or any(run.state.type is StateType.CANCELLING for run in runs):
            return
        oldest = min(runs, key=lambda run: (run.scheduled_time, run.id))
        stop = Stop(StopReason.SUPERSEDED, now, "superseded by a newer run of its deployment")
        after = moved(oldest, Name.CANCELLING, actor=Actor.DISPATCHER, at=now, message=stop.message, stop=stop)
        try:
            self._store.move(Move(oldest, after, check_at=now))
        except RunChanged:
            return
        self._result.by(now)

    def _within_rate(self, pairs: Sequence[Pair], catalogue: _Catalogue, now: datetime) -> list[Admission]:
        """As many as the cloud allows to be started now where they go; the others' turn comes when there is room.

        Where a run goes only its request says, which takes longer to make than all else: a few are made at first, then
        more, as long as there is room where some of them go.
        """
        if not self._pace.is_limited:
            return self._rendered(pairs, catalogue, now)
        found: list[Admission] = []
        rest, size, has_room = list(pairs), FIRST_REQUESTS, True
        while rest and has_room:
            made = self._rendered(rest[:size], catalogue, now)
            rest, size = rest[size:], 2 * size
            allowed, has_room = self._allowed(made, now)
            found += [item for item in made if item.before.id in allowed]
            self._carried += [item.before.id for item in made if item.before.id not in allowed]
        self._carried += [run.id for run, _ in rest]
        return found

    def _allowed(self, admissions: list[Admission], now: datetime) -> tuple[set[str], bool]:
        """Runs that may be started now, and whether all may that go to one of their places."""
        bound = _bound(admissions)
        taken = {target: self._pace.granted(target, len(items), now) for target, items in bound.items()}
        allowed = {item.before.id for target, items in bound.items() for item in items[: taken[target]]}
        return allowed, not bound or any(taken[target] == len(items) for target, items in bound.items())

    def _give_back(self, granted: list[Admission], now: datetime) -> None:
        """Another dispatcher was faster, or time ran out: what was not admitted is not submitted."""
        if self._pace.is_limited:
            unused = [item for item in granted if item.before.id not in self._admitted]
            for target, items in _bound(unused).items():
                self._pace.give_back(target, len(items), now)

    def _let_refill(self) -> None:
        if (at := self._pace.let_refill(self._until)) is not None:
            self._result.by(at)
            self._result.refusals = REFUSALS + 1

    def _commit(self, batch: list[Admission], planned_with: _Catalogue) -> bool:
        """One commit; False if the plan no longer fits and what is left of it must be planned anew."""
        if not self._still_true(planned_with):
            self._carried += [item.before.id for item in batch]
            return False
        try:
            self._store.admit(batch)
        except AdmissionRefused as refused:
            self._result.refusals += 1
            self._is_raced = True
            self._commit_left(batch, planned_with, refused)
            return False
        except TooLarge as exc:
            return self._commit_parts(batch, planned_with, exc)
        self._held.entries += [_entry(item) for item in batch]
        self._result.count += len(batch)
        self._admitted.update(item.before.id for item in batch)
        for item in batch:
            log.info(
                "run admitted",
                extra={"run": item.after.id, "attempt": item.after.attempt, "pool": item.after.pool},
            )
        self.submitter.start(batch)
        return self.submitter.unavailable is None

    def _commit_left(self, batch: list[Admission], planned_with: _Catalogue, refused: AdmissionRefused) -> None:
        """What others have left of a batch at once, before they come by again; the rest is planned anew."""
        left = left_of(batch, refused) if self._goes_on() else []
        gone = {item.before.id for item in left} | refused.changed
        self._carried += [item.before.id for item in batch if item.before.id not in gone]
        if left:
            self._commit(left, planned_with)

    def _commit_parts(self, batch: list[Admission], planned_with: _Catalogue, why: TooLarge) -> bool:
        """What is too large for one commit in two; a run that is too large alone can never start."""
        if len(batch) == 1:
            self._crash(batch[0].before, str(why), self._context.clock.now())
            return True
        middle = len(batch) // 2
        if not self._commit(batch[:middle], planned_with):
            self._carried += [item.before.id for item in batch[middle:]]
            return False
        return self._commit(batch[middle:], planned_with)

    def _still_true(self, planned_with: _Catalogue) -> bool:
        now = self._catalogue(planned_with.pool.name)
        if now is None or now.versions() != planned_with.versions():
            return False
        for deployment in planned_with.deployments.values():
            read = records.read(self._store, Deployment, deployment.name)
            if read is None or read.version != deployment.version:
                return False
        return True


def _bound(admissions: Iterable[Admission]) -> dict[Target, list[Admission]]:
    """By where they go, as far as a cloud counts its calls."""
    bound: dict[Target, list[Admission]] = {}
    for item in admissions:
        bound.setdefault(replace(item.request.target, group=""), []).append(item)
    return bound


def _parked_run(run: FlowRun, reason: str, now: datetime) -> FlowRun:
    return moved(run, Name.AWAITING_CONCURRENCY_SLOT, actor=Actor.DISPATCHER, at=now, message=reason, parked=True)


def _entry(item: Admission) -> ActiveEntry:
    run = item.after
    return ActiveEntry(
        run.slots[0], run.id, run.attempt, run.pool, run.queue, run.deployment_id, run.slots, item.check_at
    )
