"""Work pools and their queues."""

from __future__ import annotations

from datetime import timedelta

from dispatcher import records
from dispatcher.catalogue.pools import delete_pool, pause_pool, put_pool
from dispatcher.catalogue.queues import delete_queue, pause_queue, pool_named, put_queue, queue_named
from dispatcher.forms import WorkPoolForm, WorkQueueForm
from dispatcher.http import showing, showing_runs
from dispatcher.http.bodies import ForceQuery, PageQuery, PreviewQuery
from dispatcher.http.calls import STATUS_OF_CHANGE, Call
from dispatcher.http.messages import Reply
from dispatcher.http.paging import catalogue_page
from dispatcher.http.redaction import redacted_template, restored
from dispatcher.http.views import (
    DeletionView,
    WorkPoolChange,
    WorkPoolPage,
    WorkQueueChange,
    WorkQueuePage,
)
from dispatcher.job_templates import redact
from dispatcher.pools import WorkPool


def list_pools(call: Call, *, query: PageQuery) -> Reply:
    found, following = catalogue_page(call.context.store, WorkPool, query)
    items = [showing.work_pool(call.context, pool) for pool in found if not pool.deleted]
    return Reply(view=WorkPoolPage(items=items, next=following))


def show_pool(call: Call, *, pool: str) -> Reply:
    return Reply(view=showing.work_pool(call.context, pool_named(call.context, pool)))


def register_pool(call: Call, *, pool: str, form: WorkPoolForm) -> Reply:
    registered = put_pool(call.context, pool, _with_kept_secrets(call, pool, form))
    view = showing.work_pool(call.context, registered.value)
    return Reply(STATUS_OF_CHANGE[registered.change], WorkPoolChange(**view.model_dump(), change=registered.change))


def _with_kept_secrets(call: Call, name: str, form: WorkPoolForm) -> WorkPoolForm:
    old = records.read(call.context.store, WorkPool, name)
    template, variables = (old.base_job_template, old.variables) if old else ({}, {})
    shown_template, shown = (redacted_template(template), redact(template, variables)) if old else ({}, {})
    sent = form.base_job_template
    return form.model_copy(
        update={
            "variables": restored(form.variables, shown, variables, path="variables"),
            "base_job_template": restored(sent, shown_template, template, path="base_job_template"),
        }
    )


def remove_pool(call: Call, *, pool: str, query: ForceQuery) -> Reply:
    if delete_pool(call.context, pool, force=query.force):
        return Reply(204)
    return Reply(202, DeletionView(message=f"work pool {pool!r} goes when its last run has ended"))


def set_pool_paused(call: Call, *, pool: str, paused: bool) -> Reply:
    return Reply(view=showing.work_pool(call.context, pause_pool(call.context, pool, paused=paused)))


def preview(call: Call, *, pool: str, query: PreviewQuery) -> Reply:
    until = call.context.clock.now() + timedelta(hours=query.hours)
    return Reply(view=showing_runs.preview(call.context, pool_named(call.context, pool), until))


def show_slots(call: Call, *, pool: str) -> Reply:
    return Reply(view=showing_runs.slots(call.context, pool_named(call.context, pool)))


def list_queues(call: Call, *, pool: str) -> Reply:
    pool_named(call.context, pool)
    queues = records.queues_of(call.context.store, pool)
    return Reply(view=WorkQueuePage(items=showing.work_queues(call.context, pool, queues)))


def show_queue(call: Call, *, pool: str, queue: str) -> Reply:
    return Reply(view=showing.work_queue(call.context, queue_named(call.context, pool, queue)))


def register_queue(call: Call, *, pool: str, queue: str, form: WorkQueueForm) -> Reply:
    registered = put_queue(call.context, pool, queue, form)
    view = showing.work_queue(call.context, registered.value)
    return Reply(STATUS_OF_CHANGE[registered.change], WorkQueueChange(**view.model_dump(), change=registered.change))


def remove_queue(call: Call, *, pool: str, queue: str, query: ForceQuery) -> Reply:
    delete_queue(call.context, pool, queue, force=query.force)
    return Reply(204)


def set_queue_paused(call: Call, *, pool: str, queue: str, paused: bool) -> Reply:
    return Reply(view=showing.work_queue(call.context, pause_queue(call.context, pool, queue, paused=paused)))
