"""The one table of routes. Hosts, authorization, the OpenAPI document and the tests all read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from pydantic import BaseModel

from dispatcher.api_keys import Scope
from dispatcher.forms import DeploymentForm, RunForm, ScheduleForm, WorkPoolForm, WorkQueueForm
from dispatcher.http import bodies, run_views, views
from dispatcher.http.handlers import callbacks, deployments, installation, metrics, pools, runs
from dispatcher.http.messages import JSON, Reply


class Access(StrEnum):
    """Who is let in without an API key."""

    ANYBODY = "anybody"
    RUN_TOKEN = "run token"  # noqa: S105 - not a password


READ, RUN, ADMIN = Scope
ANYBODY, RUN_TOKEN = Access

Answers: TypeAlias = Mapping[int, type[BaseModel] | None]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `answers` are those that are no problems; `conflicts` says that 409 may come."""

    method: str
    path: str
    access: Scope | Access
    handler: Callable[..., Reply]
    summary: str
    answers: Answers = field(default_factory=dict)
    form: type[BaseModel] | None = None
    form_required: bool = True
    query: type[BaseModel] | None = None
    conflicts: bool = False
    media_type: str = JSON

    @property
    def name(self) -> str:
        """`put_work_pools_pool`; unique, for an OpenAPI operation's id."""
        words = self.path.removeprefix("/v1").replace("{", "").replace("}", "")
        for mark in "/-.":
            words = words.replace(mark, "_")
        return f"{self.method.lower()}{words}"

    @property
    def tag(self) -> str:
        return next(tag for prefix, tag in _TAGS if self.path.startswith(prefix))


_TAGS = (
    ("/v1/work-pools/{pool}/queues", "work queues"),
    ("/v1/work-pools", "work pools"),
    ("/v1/deployments/{deployment}/runs", "flow runs"),
    ("/v1/deployments", "deployments"),
    ("/v1/runs", "flow runs"),
    ("/v1/callbacks", "callbacks"),
    ("/", "installation"),
)


def _get(path: str, access: Scope | Access, handler: Callable[..., Reply], summary: str, view: type[BaseModel],
         query: type[BaseModel] | None = None) -> Route:  # fmt: skip
    return Route("GET", path, access, handler, summary, {200: view}, query=query)


def _act(path: str, access: Scope | Access, handler: Callable[..., Reply], summary: str, view: type[BaseModel],
         form: type[BaseModel] | None = None) -> Route:  # fmt: skip
    """Something is done to what the path names; a body, if there is a form for it, may be left out."""
    return Route("POST", path, access, handler, summary, {200: view}, form, form_required=False, conflicts=True)


_POOL = "/v1/work-pools/{pool}"
_QUEUE = f"{_POOL}/queues/{{queue}}"
_DEPLOYMENT = "/v1/deployments/{deployment}"
_SCHEDULE = f"{_DEPLOYMENT}/schedules/{{schedule}}"
_RUN = "/v1/runs/{run}"

POOLS = (
    _get("/v1/work-pools", READ, pools.list_pools, "List work pools", views.WorkPoolPage, bodies.PageQuery),
    _get(_POOL, READ, pools.show_pool, "Show a work pool", views.WorkPoolView),
    Route(
        "PUT", _POOL, ADMIN, pools.register_pool, "Register a work pool, or change it",
        {200: views.WorkPoolChange, 201: views.WorkPoolChange}, WorkPoolForm, conflicts=True,
    ),
    Route(
        "DELETE", _POOL, ADMIN, pools.remove_pool, "Delete a work pool",
        {202: views.DeletionView, 204: None}, query=bodies.ForceQuery, conflicts=True,
    ),
    _act(
        f"{_POOL}/pause", ADMIN, partial(pools.set_pool_paused, paused=True), "Pause a work pool", views.WorkPoolView
    ),
    _act(
        f"{_POOL}/resume", ADMIN, partial(pools.set_pool_paused, paused=False),
        "Resume a work pool; one that was unavailable is tried again now", views.WorkPoolView,
    ),
    _get(
        f"{_POOL}/preview", READ, pools.preview, "List what will fall due", run_views.PreviewView, bodies.PreviewQuery
    ),
    _get(f"{_POOL}/slots", READ, pools.show_slots, "Show who holds the slots", run_views.SlotsView),
    _get(f"{_POOL}/queues", READ, pools.list_queues, "List the queues of a work pool", views.WorkQueuePage),
    _get(_QUEUE, READ, pools.show_queue, "Show a work queue", views.WorkQueueView),
    Route(
        "PUT", _QUEUE, ADMIN, pools.register_queue, "Register a work queue, or change it",
        {200: views.WorkQueueChange, 201: views.WorkQueueChange}, WorkQueueForm, conflicts=True,
    ),
    Route(
        "DELETE", _QUEUE, ADMIN, pools.remove_queue, "Delete a work queue",
        {204: None}, query=bodies.ForceQuery, conflicts=True,
    ),
    _act(
        f"{_QUEUE}/pause", ADMIN, partial(pools.set_queue_paused, paused=True), "Pause a work queue",
        views.WorkQueueView,
    ),
    _act(
        f"{_QUEUE}/resume", ADMIN, partial(pools.set_queue_paused, paused=False), "Resume a work queue",
        views.WorkQueueView,
    ),
)  # fmt: skip

DEPLOYMENTS = (
    _get(
        "/v1/deployments", READ, deployments.list_deployments, "List deployments",
        views.DeploymentPage, bodies.DeploymentsQuery,
    ),
    _get(_DEPLOYMENT, READ, deployments.show_deployment, "Show a deployment", views.DeploymentView),
    Route(
        "PUT", _DEPLOYMENT, ADMIN, deployments.register_deployment, "Register a deployment, or replace all of it",
        {200: views.DeploymentChange, 201: views.DeploymentChange}, DeploymentForm, conflicts=True,
    ),
    Route(
        "DELETE", _DEPLOYMENT, ADMIN, deployments.remove_deployment,
        "Delete a deployment: its waiting runs are cancelled, its active ones finish",
        {202: views.DeletionView, 204: None}, conflicts=True,
    ),
    _act(
        f"{_DEPLOYMENT}/pause", ADMIN, partial(deployments.set_deployment_paused, paused=True), "Pause a deployment",
        views.DeploymentView,
    ),
    _act(
        f"{_DEPLOYMENT}/resume", ADMIN, partial(deployments.set_deployment_paused, paused=False),
        "Resume a deployment", views.DeploymentView,
    ),
    Route(
        "POST", f"{_DEPLOYMENT}/schedules", ADMIN, deployments.create_schedule,
        "Add a schedule, or replace the one of that slug",
        {200: views.DeploymentView, 201: views.DeploymentView}, ScheduleForm, query=bodies.ScheduleQuery,
        conflicts=True,
    ),
    _act(
        f"{_SCHEDULE}/pause", ADMIN, partial(deployments.set_active, active=False), "Pause a schedule, by id or slug",
        views.DeploymentView,
    ),
    _act(
        f"{_SCHEDULE}/resume", ADMIN, partial(deployments.set_active, active=True), "Resume a schedule, by id or slug",
        views.DeploymentView,
    ),
    Route(
        "DELETE", _SCHEDULE, ADMIN, deployments.remove_schedule, "Delete a schedule, by id or slug",
        {204: None}, conflicts=True,
    ),
)  # fmt: skip

RUNS = (
    Route(
        "POST", f"{_DEPLOYMENT}/runs", RUN, runs.create,
        "Create a run; the same idempotency key and body give the run that is there",
        {200: run_views.FlowRunView, 201: run_views.FlowRunView}, RunForm, form_required=False, conflicts=True,
    ),
    _get("/v1/runs", READ, runs.list_runs, "List runs, the latest first", run_views.FlowRunPage, bodies.RunsQuery),
    _get(_RUN, READ, runs.show_run, "Show a run", run_views.FlowRunView),
    Route(
        "DELETE", _RUN, ADMIN, runs.remove, "Delete a run that has ended or was never started",
        {204: None}, conflicts=True,
    ),
    _get(f"{_RUN}/logs", READ, runs.show_log, "Show an attempt's output", run_views.LogView, bodies.LogQuery),
    _act(f"{_RUN}/cancel", RUN, runs.cancel, "Cancel a run", run_views.FlowRunView, bodies.CancelForm),
    _act(f"{_RUN}/retry", RUN, runs.retry, "Run it again, as a new attempt", run_views.FlowRunView),
    Route(
        "POST", "/v1/runs/cancel", RUN, runs.cancel_all, "Cancel every unfinished run that matches, up to 500",
        {200: run_views.CancelledView}, bodies.CancelMatchingForm,
    ),
)  # fmt: skip

CALLBACKS = (
    Route(
        "POST", "/v1/callbacks/state", RUN_TOKEN, callbacks.say,
        "Say that the attempt is running, or has ended; a stale end is passed over",
        {200: run_views.CallbackView}, bodies.StateForm, conflicts=True,
    ),
    Route(
        "POST", "/v1/callbacks/heartbeat", RUN_TOKEN, callbacks.beat, "Say that the attempt is alive",
        {200: run_views.HeartbeatView}, bodies.CallbackForm, conflicts=True,
    ),
    Route(
        "GET", "/v1/callbacks/parameters", RUN_TOKEN, callbacks.show_parameters, "Fetch the run's parameters",
        {200: run_views.ParametersView}, conflicts=True,
    ),
)  # fmt: skip

INSTALLATION = (
    _get("/v1/health", ANYBODY, installation.show_health, "Say whether the API and its store answer", views.HealthView),
    _get(
        "/v1/templates/{type}", READ, installation.show_template, "Show the base job template of a pool type",
        views.TemplateView,
    ),
    Route(
        "GET", "/v1/runner.py", ANYBODY, installation.show_runner, "Fetch the runner, to be put into an image",
        {200: None}, media_type="text/x-python",
    ),
    Route(
        "GET", "/v1/metrics", READ, metrics.show_metrics, "Show the figures that matter, as Prometheus text",
        {200: None}, media_type="text/plain",
    ),
    Route(
        "GET", "/openapi.json", ANYBODY, installation.show_openapi, "Show this document",
        {200: None},
    ),
    _get("/v1/api-keys", ADMIN, installation.list_keys, "List API keys", views.ApiKeyPage, bodies.PageQuery),
    Route(
        "POST", "/v1/api-keys", ADMIN, installation.create_key, "Create an API key, which is shown this once",
        {201: views.ApiKeyCreated}, bodies.ApiKeyForm,
    ),
    Route(
        "DELETE", "/v1/api-keys/{key}", ADMIN, installation.revoke_key, "Revoke an API key",
        {200: views.ApiKeyView}, conflicts=True,
    ),
)  # fmt: skip

ROUTES = (*POOLS, *DEPLOYMENTS, *RUNS, *CALLBACKS, *INSTALLATION)
