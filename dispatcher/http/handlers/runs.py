"""Flow runs: created, listed, cancelled, retried, deleted, and their output."""

from __future__ import annotations

from datetime import datetime

from dispatcher.catalogue.flow_runs import (
    cancel_matching,
    cancel_run,
    create_run,
    delete_run,
    retry_run,
    run_with_id,
)
from dispatcher.context import Context
from dispatcher.errors import NotFound
from dispatcher.forms import RunForm
from dispatcher.http import showing_runs
from dispatcher.http.bodies import CancelForm, CancelMatchingForm, LogQuery, RunsQuery
from dispatcher.http.calls import Call
from dispatcher.http.messages import Reply
from dispatcher.http.paging import named_cursor
from dispatcher.http.redaction import restored
from dispatcher.http.run_views import CancelledView, FlowRunPage, LogView
from dispatcher.ports import Logs, Page, RunFilter
from dispatcher.runs import LATE_AFTER, TYPE_OF, Attempt, FlowRun, Name, shown_name

LOOKS = 20  # pages read for one page of those that match


def create(call: Call, *, deployment: str, form: RunForm) -> Reply:
    restored(form.job_variables, {}, {}, path="job_variables")
    run, is_new = create_run(call.context, deployment, form)
    view = showing_runs.flow_run(call.context, run)
    return Reply(201 if is_new else 200, view, {"Location": f"/v1/runs/{run.id}"})


def show_run(call: Call, *, run: str) -> Reply:
    found = run_with_id(call.context, run)
    return Reply(view=showing_runs.flow_run(call.context, found, with_reason=True))


def list_runs(call: Call, *, query: RunsQuery) -> Reply:
    now = call.context.clock.now()
    with named_cursor():
        page = _matching(call.context, query, now)
    return Reply(view=FlowRunPage(items=[showing_runs.item(run, now) for run in page.items], next=page.after))


def _matching(context: Context, query: RunsQuery, now: datetime) -> Page[FlowRun]:
    """Scheduled and Late are one in the store, so it is read on until the page is full."""
    names, wanted = query.names(), _filter(query, now)
    found: list[FlowRun] = []
    after = query.cursor
    for _ in range(LOOKS):
        page = context.store.runs(wanted, after=after, limit=query.limit - len(found))
        found += [run for run in page.items if not names or shown_name(run, now) in names]
        after = page.after
        if after is None or len(found) == query.limit:
            break
    return Page(tuple(found), after)


def _filter(query: RunsQuery, now: datetime) -> RunFilter:
    names = query.names()
    until = query.until
    if names == frozenset({Name.LATE}):  # else all that is not yet due would be read first
        until = min(until, now - LATE_AFTER) if until else now - LATE_AFTER
    stored = names - {Name.LATE} | ({Name.SCHEDULED} if Name.LATE in names else set())
    return RunFilter(
        deployment=query.deployment,
        pool=query.pool,
        queue=query.queue,
        types=frozenset(TYPE_OF[name] for name in stored),
        names=frozenset(stored),
        tags=frozenset(query.tag),
        since=query.since,
        until=until,
    )


def cancel(call: Call, *, run: str, form: CancelForm) -> Reply:
    return Reply(view=showing_runs.flow_run(call.context, cancel_run(call.context, run, message=form.message)))


def cancel_all(call: Call, *, form: CancelMatchingForm) -> Reply:
    told, more = cancel_matching(call.context, form.filter())
    return Reply(view=CancelledView(cancelled=told, more=more))


def retry(call: Call, *, run: str) -> Reply:
    return Reply(view=showing_runs.flow_run(call.context, retry_run(call.context, run)))


def remove(call: Call, *, run: str) -> Reply:
    delete_run(call.context, run)
    return Reply(204)


def show_log(call: Call, *, run: str, query: LogQuery) -> Reply:
    found = run_with_id(call.context, run)
    attempt = _attempt(found, query.attempt)
    if attempt is None:
        said = "there is no output yet: the run was never started"
        return Reply(view=LogView(run_id=found.id, attempt=None, text=None, links={}, message=said))
    text = _text(call.context, attempt)
    view = LogView(
        run_id=found.id,
        attempt=attempt.number,
        text=text if text is not None else attempt.log_tail or None,
        links=dict(attempt.links),
        message="" if text is not None else _where(attempt),
    )
    return Reply(view=view)


def _attempt(run: FlowRun, number: int | None) -> Attempt | None:
    """:raises NotFound: the run has no attempt of that number, or it is no longer kept."""
    if number is None:
        return run.attempts[-1] if run.attempts else None
    for attempt in run.attempts:
        if attempt.number == number:
            return attempt
    raise NotFound(f"run {run.id} has no attempt {number} on record")


def _text(context: Context, attempt: Attempt) -> str | None:
    infrastructure = context.infrastructure(attempt.target.type)
    if attempt.handle is None or not isinstance(infrastructure, Logs):
        return None
    return infrastructure.log(attempt.target, attempt.handle)


def _where(attempt: Attempt) -> str:
    if link := attempt.links.get("logs") or attempt.links.get("console"):
        return f"{'these are its last lines; ' if attempt.log_tail else ''}the output is kept at {link}"
    return "the infrastructure has not named a place for the output; its last lines are all there is"
