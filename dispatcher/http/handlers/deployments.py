"""Deployments and their schedules."""

from __future__ import annotations

from typing import Any

from dispatcher import records
from dispatcher.catalogue.changes import change_deployment, deployment_named
from dispatcher.catalogue.deployments import delete_deployment, put_deployment
from dispatcher.catalogue.schedules import add_schedule, delete_schedule, set_schedule_active
from dispatcher.deployments import Deployment
from dispatcher.errors import InvalidInput
from dispatcher.forms import DeploymentForm, ScheduleForm, WebhookForm
from dispatcher.http import showing
from dispatcher.http.bodies import DeploymentsQuery, ScheduleQuery
from dispatcher.http.calls import STATUS_OF_CHANGE, Call
from dispatcher.http.messages import Reply
from dispatcher.http.paging import catalogue_page
from dispatcher.http.redaction import restored
from dispatcher.http.views import DeletionView, DeploymentChange, DeploymentPage
from dispatcher.job_templates import redact
from dispatcher.pools import WorkPool


def list_deployments(call: Call, *, query: DeploymentsQuery) -> Reply:
    found, following = catalogue_page(call.context.store, Deployment, query, parent=query.pool)
    items = showing.deployments(call.context, [each for each in found if not each.deleted])
    return Reply(view=DeploymentPage(items=items, next=following))


def show_deployment(call: Call, *, deployment: str) -> Reply:
    return Reply(view=showing.deployment(call.context, deployment_named(call.context, deployment)))


def register_deployment(call: Call, *, deployment: str, form: DeploymentForm) -> Reply:
    pool = records.read(call.context.store, WorkPool, form.pool)
    if pool is None or pool.deleted:
        why = f"work pool {form.pool!r} does not exist; `pushpool work-pool ls` shows those that do"
        raise InvalidInput(why, path="pool")
    registered = put_deployment(call.context, deployment, _with_kept_secrets(call, deployment, form))
    view = showing.deployment(call.context, registered.value)
    return Reply(STATUS_OF_CHANGE[registered.change], DeploymentChange(**view.model_dump(), change=registered.change))


def _with_kept_secrets(call: Call, name: str, form: DeploymentForm) -> DeploymentForm:
    old = records.read(call.context.store, Deployment, name)
    pool = records.read(call.context.store, WorkPool, old.pool) if old else None
    kept = old.job_variables if old else {}
    shown = redact(pool.base_job_template, kept) if pool else {}
    changes: dict[str, Any] = {
        "job_variables": restored(form.job_variables, shown, kept, path="job_variables"),
        "webhooks": [_with_kept_secret(webhook, old) for webhook in form.webhooks],
    }
    return form.model_copy(update=changes)


def _with_kept_secret(webhook: WebhookForm, old: Deployment | None) -> WebhookForm:
    """A fingerprint that is sent back for the same address stands for the secret that it was made of."""
    for known in old.webhooks if old else ():
        if known.url == webhook.url and webhook.secret == showing.fingerprint(known.secret):
            return webhook.model_copy(update={"secret": known.secret})
    return webhook


def remove_deployment(call: Call, *, deployment: str) -> Reply:
    delete_deployment(call.context, deployment)
    if records.read(call.context.store, Deployment, deployment) is None:
        return Reply(204)
    return Reply(202, DeletionView(message=f"deployment {deployment!r} goes when its runs are cancelled"))


def set_deployment_paused(call: Call, *, deployment: str, paused: bool) -> Reply:
    changed = change_deployment(call.context, deployment, paused=paused)
    return Reply(view=showing.deployment(call.context, changed))


def create_schedule(call: Call, *, deployment: str, form: ScheduleForm, query: ScheduleQuery) -> Reply:
    before = {schedule.id for schedule in deployment_named(call.context, deployment).schedules}
    changed = add_schedule(call.context, deployment, form, only=query.only)
    is_new = any(schedule.id not in before for schedule in changed.schedules)
    return Reply(201 if is_new else 200, showing.deployment(call.context, changed))


def set_active(call: Call, *, deployment: str, schedule: str, active: bool) -> Reply:
    changed = set_schedule_active(call.context, deployment, schedule, active=active)
    return Reply(view=showing.deployment(call.context, changed))


def remove_schedule(call: Call, *, deployment: str, schedule: str) -> Reply:
    delete_schedule(call.context, deployment, schedule)
    return Reply(204)
