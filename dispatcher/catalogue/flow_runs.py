"""Creating, cancelling, retrying and deleting runs, as people ask for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from dispatcher import job_templates, json_schema, records
from dispatcher.catalogue.changes import deployment_named
from dispatcher.catalogue.queues import ensure_queue
from dispatcher.context import Context
from dispatcher.deployments import Deployment
from dispatcher.documents import canonical
from dispatcher.ends import cancelled
from dispatcher.errors import Conflict, InvalidInput, NotFound, RunChanged, TooLarge
from dispatcher.forms import MAX_PARAMETERS_BYTES, MAX_TAGS, RunForm
from dispatcher.pools import WorkPool, WorkQueue
from dispatcher.ports import Move, RunFilter
from dispatcher.rendering import layers, policy_of
from dispatcher.runs import (
    FINAL,
    Actor,
    FlowRun,
    Name,
    State,
    StateType,
    Stop,
    StopReason,
    moved,
)

IDEMPOTENCY_KEPT = timedelta(days=7)
TRIES = 8


def run_with_id(context: Context, run_id: str) -> FlowRun:
    """:raises NotFound:"""
    run = context.store.get_run(_canonical_id(run_id))
    if run is None:
        raise NotFound(f"flow run {run_id!r} does not exist; `pushpool flow-run ls` shows those that do")
    return run


def _canonical_id(run_id: str) -> str:
    try:
        return str(UUID(run_id))
    except ValueError:
        return run_id


def create_run(context: Context, deployment_name: str, form: RunForm) -> tuple[FlowRun, bool]:
    """(the run, whether it is new): the same idempotency key with the same form gives the run that is there.

    :raises NotFound: no such deployment. :raises InvalidInput: parameters or variables.
    :raises Conflict: the idempotency key was used with another form.
    """
    deployment = deployment_named(context, deployment_name)
    parameters = {**deployment.parameters, **form.parameters}
    _check(context, deployment, form, parameters)
    queue = form.queue or deployment.queue
    ensure_queue(context, deployment.pool, queue)
    wanted = _run(deployment, form, parameters, queue, context.clock.now())
    keep_until = wanted.created + IDEMPOTENCY_KEPT if form.idempotency_key else None
    stored = context.store.create_run(wanted, keep_key_until=keep_until)
    if stored.id != wanted.id:
        if stored.fingerprint != wanted.fingerprint:
            raise Conflict(
                f"idempotency key {form.idempotency_key!r} was used for run {stored.id} with another body;"
                " use a new key"
            )
        return stored, False
    _wake(context, stored)
    return stored, True


def _wake(context: Context, run: FlowRun) -> None:
    now = context.clock.now()
    context.waker.wake(
        run.pool, None if run.due_at <= now + timedelta(seconds=10) else run.due_at - timedelta(seconds=10)
    )


def _check(context: Context, deployment: Deployment, form: RunForm, parameters: Mapping[str, Any]) -> None:
    size = len(json.dumps(parameters, ensure_ascii=False).encode())
    if size > MAX_PARAMETERS_BYTES:
        raise TooLarge(f"parameters have {size} bytes; the limit is {MAX_PARAMETERS_BYTES}; pass a reference instead")
    if len({*deployment.tags, *form.tags}) > MAX_TAGS:
        raise TooLarge(f"the run would have more than {MAX_TAGS} tags together with its deployment's")
    pool = records.read(context.store, WorkPool, deployment.pool)
    if pool is None or pool.deleted:
        raise InvalidInput(f"deployment {deployment.name!r}: its work pool {deployment.pool!r} was deleted")
    job_templates.check_overrides(pool.base_job_template, *layers(pool, deployment, form.job_variables), require=True)
    if deployment.parameter_schema is not None:
        json_schema.check_parameters(deployment.parameter_schema, parameters)


def _run(deployment: Deployment, form: RunForm, parameters: Mapping[str, Any], queue: str, now: datetime) -> FlowRun:
    at = form.scheduled_time or now
    state = State(Name.SCHEDULED, now)
    run_id = str(uuid4())
    return FlowRun(
        id=run_id,
        name=form.name or f"{deployment.name}-{run_id[:8]}",
        deployment_id=deployment.id,
        deployment=deployment.name,
        pool=deployment.pool,
        queue=queue,
        queue_pinned=form.queue is not None,
        scheduled_time=at,
        due_at=at,
        state=state,
        history=(state,),
        created=now,
        parameters=parameters,
        job_variables=form.job_variables,
        tags=tuple(dict.fromkeys([*deployment.tags, *form.tags])),
        idempotency_key=form.idempotency_key,
        fingerprint=_fingerprint(form) if form.idempotency_key else "",
        policy=policy_of(deployment),
    )


def _fingerprint(form: RunForm) -> str:
    return hashlib.sha256(canonical(form.model_dump(mode="json")).encode()).hexdigest()[:32]


def cancel_run(context: Context, run_id: str, message: str = "") -> FlowRun:
    """Cancelled at once if it holds nothing; else CANCELLING until its container has stopped.

    :raises NotFound: :raises Conflict: it has ended already.
    """
    for _ in range(TRIES):
        run = run_with_id(context, run_id)
        move = _cancellation(context, run, message or "cancelled on request")
        if move is None:
            return run
        try:
            context.store.move(move)
        except RunChanged:
            continue
        context.waker.wake(run.pool)
        return move.after
    raise Conflict(f"run {run_id}: too many others are changing it; try again")


def _cancellation(context: Context, run: FlowRun, message: str) -> Move | None:
    now = context.clock.now()
    if run.state.type in FINAL:
        raise Conflict(f"run {run.id} has ended already: it is {run.state.name}")
    if run.state.type is StateType.SCHEDULED:
        after, owed = cancelled(run, message, actor=Actor.USER, now=now, patience=context.patience)
        return Move(run, after, outbox=owed)
    if _is_being_cancelled(run):
        return None
    stop = Stop(StopReason.CANCELLED, now, message)
    after = moved(run, Name.CANCELLING, actor=Actor.USER, at=now, message=message, stop=stop)
    return Move(run, after, check_at=now)


def retry_run(context: Context, run_id: str) -> FlowRun:
    """A finished run becomes SCHEDULED again, in a new attempt, with its retries given back.

    :raises NotFound: :raises Conflict: it has not ended, or its deployment or work pool is gone.
    """
    for _ in range(TRIES):
        run = run_with_id(context, run_id)
        if not run.is_final:
            raise Conflict(f"run {run.id} has not ended: it is {run.state.name}; cancel it first")
        deployment = deployment_named(context, run.deployment)
        if deployment.id != run.deployment_id:
            raise Conflict(f"run {run.id} is of an earlier deployment {run.deployment!r}; create a new run")
        after = _retried(_at_home(context, run, deployment), context.clock.now())
        try:
            context.store.move(Move(run, after))
        except RunChanged:
            continue
        context.waker.wake(after.pool)
        return after
    raise Conflict(f"run {run_id}: too many others are changing it; try again")


def _at_home(context: Context, run: FlowRun, deployment: Deployment) -> FlowRun:
    """Where a pass will look for it: its deployment's pool, and its own queue if that is still there."""
    pool = records.read(context.store, WorkPool, deployment.pool)
    if pool is None or pool.deleted:
        raise Conflict(f"run {run.id} cannot be retried: work pool {deployment.pool!r} was deleted")
    is_there = records.read(context.store, WorkQueue, f"{run.pool}/{run.queue}") is not None
    if run.pool == deployment.pool and is_there:
        return run
    return replace(run, pool=deployment.pool, queue=deployment.queue, queue_pinned=False)


def _retried(run: FlowRun, now: datetime) -> FlowRun:
    return moved(
        run, Name.AWAITING_RETRY, actor=Actor.USER, at=now, message="retried on request", due_at=now,
        attempt=run.attempt + 1 if run.was_admitted else run.attempt, submit_seq=1, retries_used=0, free_attempts=0,
        ended=None, exit_code=None, expires_at=None, stop=None, late_noticed=False,
        schedule_id=None, max_lateness_seconds=None,
    )  # fmt: skip


def delete_run(context: Context, run_id: str) -> None:
    """:raises NotFound: :raises Conflict: it is active; cancel it first."""
    run = run_with_id(context, run_id)
    if run.is_active:
        raise Conflict(f"run {run.id} is {run.state.name}; cancel it first")
    context.store.delete_run(run)


def cancel_matching(context: Context, wanted: RunFilter, *, limit: int = 500) -> tuple[int, bool]:
    """(how many were told to stop, whether there are more): every unfinished run that matches, page by page."""
    unfinished = frozenset(StateType) - FINAL
    wanted = replace(wanted, types=(wanted.types & unfinished) if wanted.types else unfinished)
    told = 0
    if not wanted.types:
        return 0, False
    after: str | None = None
    while told < limit:
        page = context.store.runs(wanted, after=after, limit=100)
        for run in page.items:
            told += not _is_being_cancelled(run) and _try_cancel(context, run)
        after = page.after
        if after is None:
            return told, False
    return told, True


def _is_being_cancelled(run: FlowRun) -> bool:
    return run.stop is not None and run.stop.reason in (StopReason.CANCELLED, StopReason.SUPERSEDED)


def _try_cancel(context: Context, run: FlowRun) -> bool:
    try:
        cancel_run(context, run.id)
    except (Conflict, NotFound):
        return False
    return True
