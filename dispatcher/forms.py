"""What people send to describe pools, queues, deployments and runs: the same over HTTP and in pushpool.yaml.

A form says all of a thing: what it leaves out has its default. `paused` and `active` left out stay as they are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from dispatcher.deployments import Catchup, CollisionStrategy
from dispatcher.runs import OnUnknown

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
MAX_TAGS = 50
MAX_PARAMETERS_BYTES = 256 * 1024

_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def _dated(value: Any) -> Any:
    """A number is no date, and nor is a number as text, which pydantic takes for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("write the time as 2026-01-31T09:00:00Z")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("the time has no offset; add Z or one")
    if not 1970 <= value.year <= 2999:
        raise ValueError("the year must be one from 1970 to 2999")
    return value.astimezone(UTC)


def _address(value: str) -> str:
    try:
        urlsplit(value)
    except ValueError:
        raise ValueError("this is no address; write it as https://host/path") from None
    return value


ResourceName = Annotated[str, StringConstraints(pattern=NAME)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=200)]
# Postgres and most clouds stop at 2**31; nobody's limit is near.
Limit = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[int, Field(ge=0, le=31_622_400)]
Instant = Annotated[
    datetime, Field(json_schema_extra={"format": "date-time"}), BeforeValidator(_dated), AfterValidator(_utc)
]
WebhookEvent = Literal["completed", "failed", "timed_out", "crashed", "cancelled", "late"]


class Form(BaseModel):
    """Unknown keys are refused; types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class WorkPoolForm(Form):
    """A work pool: where runs are submitted, with what defaults, and how many at once."""

    type: str = Field(description="Pool type, such as `process` or `ecs:push`. Never changes.")
    description: str = ""
    base_job_template: dict[str, Any] | None = Field(
        default=None,
        description="`job_configuration` with placeholders, and `variables`. Default: the type's own.",
    )
    variables: dict[str, Any] = Field(default_factory=dict, description="The pool's own defaults of job variables.")
    concurrency_limit: Limit | None = None
    prefetch_seconds: Annotated[int, Field(ge=0, le=900)] = 10
    paused: bool | None = None


class WorkQueueForm(Form):
    """A queue of a pool. A priority that is taken pushes the others down."""

    description: str = ""
    priority: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="Lower numbers are served first. Default: as it is, or the first that is free.",
    )
    concurrency_limit: Limit | None = None
    paused: bool | None = None


class ScheduleForm(Form):
    """One of `cron`, `interval` (seconds) and `rrule`."""

    cron: str | None = None
    interval: Annotated[float, Field(gt=0)] | None = None
    rrule: str | None = None
    timezone: str | None = None
    day_or: bool | None = None
    anchor_date: str | None = None
    slug: ResourceName | None = None
    active: bool | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    catchup: Annotated[Catchup, Field(strict=False)] = Catchup.LATEST
    max_lateness_seconds: Seconds | None = None

    def timing(self) -> dict[str, Any]:
        """What `schedules.from_dict` takes."""
        keys = ("cron", "interval", "rrule", "timezone", "day_or", "anchor_date")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class WebhookForm(Form):
    """Who is told of which states."""

    url: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_address)]
    on: Annotated[list[WebhookEvent], Field(min_length=1)]
    secret: Annotated[str, StringConstraints(min_length=8, max_length=500)] | None = None
    allow_private: bool = False


class DeploymentForm(Form):
    """What is run, where, how often and with what."""

    pool: ResourceName
    queue: ResourceName = "default"
    description: str = ""
    entrypoint: str | None = Field(default=None, description="`path/to/file.py:function`, called with the parameters.")
    command: str | list[str] | None = None
    image: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameter_schema: dict[str, Any] | None = Field(default=None, description="JSON Schema that parameters must meet.")
    job_variables: dict[str, Any] = Field(default_factory=dict)
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = Field(default_factory=list)
    schedules: Annotated[list[ScheduleForm], Field(max_length=100)] = Field(default_factory=list)
    paused: bool | None = None
    concurrency_limit: Limit | None = None
    collision_strategy: Annotated[CollisionStrategy, Field(strict=False)] = CollisionStrategy.ENQUEUE
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    retry_delay_seconds: Seconds = 0
    timeout_seconds: Annotated[int, Field(ge=1, le=31_622_400)] | None = None
    on_unknown: Annotated[OnUnknown, Field(strict=False)] = OnUnknown.CRASH
    webhooks: Annotated[list[WebhookForm], Field(max_length=20)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_way_to_say_what_runs(self) -> DeploymentForm:
        if self.entrypoint is not None and self.command is not None:
            raise ValueError("give either entrypoint or command, not both")
        return self


class RunForm(Form):
    """A run of a deployment, now or at `scheduled_time`."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    job_variables: dict[str, Any] = Field(default_factory=dict)
    scheduled_time: Annotated[Instant, Field(strict=False)] | None = None
    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    queue: ResourceName | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = Field(default_factory=list)
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
