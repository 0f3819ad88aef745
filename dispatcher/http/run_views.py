"""What the API answers about runs: one model for each thing. `showing_runs` makes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from dispatcher.http.views import PageView, View
from dispatcher.runs import Name, StateType


class StateView(View):
    """One entry of a run's history."""

    type: StateType
    name: Name
    at: datetime
    message: str


class TargetView(View):
    """Where an attempt was sent."""

    type: str
    account: str
    region: str
    group: str


class AttemptView(View):
    """One life of a run on infrastructure."""

    number: int
    submit_seq: int
    target: TargetView
    handle: str | None
    links: dict[str, str]
    admitted_at: datetime
    start_deadline: datetime
    submitted_at: datetime | None
    claimed: bool = Field(description="Whether a runner in its container has reported.")
    started: datetime | None
    ended: datetime | None
    outcome: str
    exit_code: int | None
    log_tail: str


class FlowRunItem(View):
    """A run as lists show it. `state_name` reads Late when it is over 15 seconds past due."""

    id: str
    name: str
    deployment: str
    work_pool: str
    work_queue: str
    state_type: StateType
    state_name: Name
    state_message: str
    tags: list[str]
    scheduled_time: datetime
    due_at: datetime = Field(description="It is not admitted before.")
    created: datetime
    started: datetime | None
    ended: datetime | None
    exit_code: int | None
    attempt: int
    schedule_id: str | None


class FlowRunView(FlowRunItem):
    """A run with everything that is known of it."""

    deployment_id: str
    waits_for: str | None = Field(
        description="Why it waits; empty unless it is SCHEDULED. Null in answers that only say what was done."
    )
    parameters: dict[str, Any]
    job_variables: dict[str, Any]
    idempotency_key: str | None
    retries_used: int
    attempts: list[AttemptView]
    history: list[StateView]
    links: dict[str, str] = Field(description="Of the last attempt: name → URL or path.")
    log_tail: str = Field(description="The last lines of the last attempt.")


class FlowRunPage(PageView[FlowRunItem]):
    """Runs, the latest `scheduled_time` first."""


class CancelledView(View):
    """How many runs were cancelled or told to stop, and whether there are more: ask again then."""

    cancelled: int
    more: bool


class LogView(View):
    """An attempt's output; where the infrastructure keeps it elsewhere `message` says where, and `text` has its end."""

    run_id: str
    attempt: int | None
    text: str | None
    links: dict[str, str]
    message: str


class PreviewItem(View):
    """A run that will fall due. `run_id` is null as long as it has not been made."""

    due_at: datetime
    deployment: str
    work_queue: str
    run_id: str | None
    run_name: str | None
    state_name: Name | None
    schedule_id: str | None


class PreviewView(View):
    """What will fall due until then, the earliest first."""

    until: datetime
    items: list[PreviewItem]
    more: bool = Field(description="Whether there would be more than are shown.")


class SlotHolder(View):
    """Who holds a slot of the pool. The run's fields are null if the run is gone."""

    slot: str
    run_id: str
    run_name: str | None
    deployment: str | None
    work_queue: str
    attempt: int
    state_name: Name | None
    since: datetime | None


class QueueSlots(View):
    """A queue's share."""

    name: str
    limit: int | None
    active: int


class SlotsView(View):
    """Who holds the slots of a pool."""

    pool: str
    limit: int | None
    active: int
    queues: list[QueueSlots]
    holders: list[SlotHolder]


class CallbackView(View):
    """The state of the run as it is now, and how often the runner should beat."""

    state: StateType
    heartbeat_seconds: float


class HeartbeatView(View):
    """How soon to beat again; `token` replaces the run token if it is there."""

    heartbeat_seconds: float
    token: str | None


class ParametersView(View):
    """What the run was called with."""

    parameters: dict[str, Any]
