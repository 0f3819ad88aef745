"""What the API answers about the catalogue and the installation: one model for each thing. `showing` makes them.

What a form has, its view has under the same name; the rest is computed when it is read.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from dispatcher.api_keys import Scope
from dispatcher.catalogue.registering import Change
from dispatcher.deployments import Catchup, CollisionStrategy
from dispatcher.pools import Status
from dispatcher.runs import OnUnknown

T = TypeVar("T")


class View(BaseModel):
    """All fields are always there. What serializes it is made on first use, so a cold start does not pay for all."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class PageView(View, Generic[T]):
    """`next` is the cursor of the following page; null on the last. A page may be short and not the last."""

    items: list[T]
    next: str | None = None


class UnavailableView(View):
    """Why a pool submits nothing for now; `resume` ends it at once."""

    reason: str
    since: datetime
    until: datetime = Field(description="When one run is tried again.")


class UsedUpView(View):
    """A budget of calls to the pool's cloud that is used up."""

    reason: str
    until: datetime = Field(description="When there is room in it again.")


class WorkPoolView(View):
    """A work pool. READY: a pass was made in the last 150 seconds."""

    name: str
    type: str
    description: str
    base_job_template: dict[str, Any]
    variables: dict[str, Any] = Field(description="The pool's own defaults; secret ones read `********`.")
    paused: bool
    concurrency_limit: int | None
    prefetch_seconds: int
    default_queue: str
    status: Status
    active_slots: int
    unavailable: UnavailableView | None
    used_up: UsedUpView | None
    created: datetime
    updated: datetime


class WorkPoolChange(WorkPoolView):
    """A work pool, and what registering it changed."""

    change: Change


class WorkPoolPage(PageView[WorkPoolView]):
    """Work pools by name."""


class WorkQueueView(View):
    """A work queue."""

    pool: str
    name: str
    description: str
    priority: int
    paused: bool
    concurrency_limit: int | None
    status: Status
    active_slots: int
    late: int | None = Field(
        description="Runs over 15 seconds past due, counted up to 200; null in lists, where it is not counted."
    )
    created: datetime
    updated: datetime


class WorkQueueChange(WorkQueueView):
    """A work queue, and what registering it changed."""

    change: Change


class WorkQueuePage(PageView[WorkQueueView]):
    """The queues of a pool, the first to be served first."""


class ScheduleView(View):
    """A schedule: one of `cron`, `interval` (seconds) and `rrule`; the others are null."""

    id: str
    slug: str | None
    cron: str | None = None
    interval: float | None = None
    rrule: str | None = None
    timezone: str | None = None
    day_or: bool | None = None
    anchor_date: str | None = None
    active: bool
    parameters: dict[str, Any]
    catchup: Catchup
    max_lateness_seconds: int | None
    description: str = Field(description="The timing in words.")
    next_at: datetime | None = Field(description="The next date; null if it is inactive or has ended.")


class WebhookView(View):
    """Who is told of which states."""

    url: str
    on: list[str]
    secret: str | None = Field(description="Never the secret: `sha256:` and the first 12 digits of its hash.")
    allow_private: bool


class DeploymentView(View):
    """A deployment. READY: a pass was made over its pool in the last 150 seconds; NOT_READY otherwise."""

    id: str
    name: str
    pool: str
    queue: str
    description: str
    entrypoint: str | None
    command: str | list[str] | None
    image: str | None
    parameters: dict[str, Any]
    parameter_schema: dict[str, Any] | None
    job_variables: dict[str, Any]
    tags: list[str]
    schedules: list[ScheduleView]
    paused: bool
    concurrency_limit: int | None
    collision_strategy: CollisionStrategy
    retries: int
    retry_delay_seconds: int
    timeout_seconds: int | None
    on_unknown: OnUnknown
    webhooks: list[WebhookView]
    status: Status
    created: datetime
    updated: datetime
    version: int


class DeploymentChange(DeploymentView):
    """A deployment, and what registering it changed."""

    change: Change


class DeploymentPage(PageView[DeploymentView]):
    """Deployments by name."""


class DeletionView(View):
    """It is marked deleted, and gone when what is left of it is."""

    message: str


class TemplateView(View):
    """The base job template that pushpool ships for a pool type."""

    type: str
    base_job_template: dict[str, Any]


class ApiKeyView(View):
    """An API key; the key itself is shown once, when it is created."""

    id: str
    name: str
    scope: Scope
    created: datetime
    expires: datetime | None
    revoked: datetime | None


class ApiKeyCreated(ApiKeyView):
    """A new API key. `key` is not kept and cannot be shown again."""

    key: str


class ApiKeyPage(PageView[ApiKeyView]):
    """API keys by id."""


class HealthStatus(StrEnum):
    OK = "ok"


class HealthView(View):
    """That the API and its store answer. `installation` names the store, wherever it is served."""

    status: HealthStatus
    version: str
    installation: str


class FaultView(View):
    """One thing that is wrong with a request; `path` says where, with dots."""

    path: str
    reason: str


class ProblemView(View):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultView] = Field(description="Everything that is wrong, if it can be told apart.")
