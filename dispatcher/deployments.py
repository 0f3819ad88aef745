"""Deployments and their schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from dispatcher.runs import OnUnknown
from dispatcher.schedules import Timing


class Catchup(StrEnum):
    """What becomes of dates missed while a schedule was paused or nothing was running."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


class CollisionStrategy(StrEnum):
    """What becomes of a due run whose deployment is at its limit."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"
    CANCEL_RUNNING = "CANCEL_RUNNING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Dates on which a deployment's runs are made.

    `id` is made of the deployment's incarnation and the slug or content, so an unchanged schedule keeps its cursor.
    `version` is the deployment version at which the content last changed; a run of another version is not admitted.
    """

    id: str
    timing: Timing
    slug: str | None = None
    active: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    catchup: Catchup = Catchup.LATEST
    max_lateness_seconds: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who is told of a deployment's runs. `on` holds lower-case state names, and `late`."""

    url: str
    on: tuple[str, ...]
    secret: str | None = None  # signs the body; never shown, only its fingerprint
    allow_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is run, where, how often and with what. `id` is the incarnation: new when re-created after a delete."""

    id: str
    name: str
    pool: str
    queue: str
    created: datetime
    updated: datetime
    description: str = ""
    entrypoint: str | None = None
    command: str | tuple[str, ...] | None = None
    image: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_schema: Mapping[str, Any] | None = None
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    paused: bool = False
    concurrency_limit: int | None = None
    collision_strategy: CollisionStrategy = CollisionStrategy.ENQUEUE
    retries: int = 0
    retry_delay_seconds: int = 0
    timeout_seconds: int | None = None
    on_unknown: OnUnknown = OnUnknown.CRASH
    webhooks: tuple[Webhook, ...] = ()
    former_pools: tuple[str, ...] = ()  # where runs of this incarnation may still be active
    former_schedules: tuple[str, ...] = ()  # ids whose cursors are still to be removed
    deleted: bool = False
    unsettled: bool = False  # its cursors and SCHEDULED runs do not yet agree with it; passes see to that
    version: int = 0
