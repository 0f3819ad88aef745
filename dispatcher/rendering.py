"""A run about to be admitted, as the attempt and the request that will be stored with it. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dispatcher import job_templates, job_variables
from dispatcher.deployments import Deployment
from dispatcher.errors import TooLarge
from dispatcher.pools import WorkPool
from dispatcher.ports import Admission, Infrastructure, Job, Submission
from dispatcher.runs import (
    ATTEMPTS_KEPT,
    Actor,
    Attempt,
    FlowRun,
    Name,
    Policy,
    Slot,
    moved,
)
from dispatcher.tokens import Keys, RunToken
from dispatcher.watch import Patience, traits_at

TOKEN_LIFE_WITHOUT_TIMEOUT = timedelta(days=30)
TOKEN_GRACE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is rendered: its pool and deployment as read in this pass, and what they run on."""

    pool: WorkPool
    deployment: Deployment
    infrastructure: Infrastructure
    api_url: str
    key_id: str
    patience: Patience


def layers(pool: WorkPool, deployment: Deployment, run_variables: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Job variables from the lowest to the highest precedence; the pool's own come first."""
    return (pool.variables, _fields(pool, deployment), deployment.job_variables, run_variables)


def _fields(pool: WorkPool, deployment: Deployment) -> dict[str, Any]:
    """A deployment's image, command and entrypoint are job variables by another name."""
    fields: dict[str, Any] = {}
    if deployment.image is not None:
        fields["image"] = deployment.image
    if deployment.entrypoint is not None:
        fields["command"] = _words(pool, ["pushpool-run", "--entrypoint", deployment.entrypoint])
    elif deployment.command is not None:
        command = deployment.command
        fields["command"] = command if isinstance(command, str) else _words(pool, list(command))
    return fields


def _words(pool: WorkPool, words: list[str]) -> str | list[str]:
    """As one string where the template knows no list, as Prefect's do not; it is split again as a shell does."""
    schema = job_variables.properties(pool.base_job_template).get("command")
    if not isinstance(schema, Mapping):
        return words
    types = [part.get("type", "array") for part in schema.get("anyOf", [schema])]
    return words if any("array" in kind for kind in types) else shlex.join(words)


def policy_of(deployment: Deployment) -> Policy:
    return Policy(
        retries=deployment.retries,
        retry_delay_seconds=deployment.retry_delay_seconds,
        timeout_seconds=deployment.timeout_seconds,
        on_unknown=deployment.on_unknown,
        notify=tuple(sorted({word for webhook in deployment.webhooks for word in webhook.on})),
    )


def admission(run: FlowRun, slots: tuple[Slot, ...], place: Place, now: datetime) -> Admission:
    """What one commit will store. :raises InvalidInput: the run cannot be rendered, and never will be as things are."""
    job = job_of(run, place, now)
    request = place.infrastructure.request(job)
    traits = traits_at(place.infrastructure, request.target)
    start_deadline = _start_deadline(run, place, now)
    life = timedelta(seconds=place.deployment.timeout_seconds or 0) or TOKEN_LIFE_WITHOUT_TIMEOUT
    attempt = Attempt(
        number=run.attempt,
        submit_seq=run.submit_seq,
        target=request.target,
        admitted_at=now,
        start_deadline=start_deadline,
        key_id=place.key_id,
        token_expires=start_deadline + life + TOKEN_GRACE,
        cleanup_seconds=round(traits.cleanup_after.total_seconds()) if traits.cleanup_after is not None else None,
    )
    earlier = tuple(a for a in run.attempts if a.number != run.attempt)
    after = moved(
        run, Name.SUBMITTING, actor=Actor.DISPATCHER, at=now, slots=slots, parked=False,
        attempts=(*earlier, attempt)[-ATTEMPTS_KEPT:], policy=policy_of(place.deployment),
    )  # fmt: skip
    return Admission(run, after, request, check_at=now + traits.submit_deadline)


def job_of(run: FlowRun, place: Place, now: datetime) -> Job:
    """:raises InvalidInput: the template, or an override, does not allow it."""
    configuration = job_templates.render(
        place.pool.base_job_template, *layers(place.pool, place.deployment, run.job_variables)
    )
    return Job(
        pool=run.pool,
        run_id=run.id,
        run_name=run.name,
        deployment=run.deployment,
        attempt=run.attempt,
        submit_seq=run.submit_seq,
        configuration=configuration,
        environment=_environment(run, configuration, place, now),
        timeout_seconds=place.deployment.timeout_seconds,
        refusals=run.submit_seq - 1 + run.free_attempts,
    )


def submission(admitted: Admission, keys: Keys) -> Submission:
    """The request with its derived token: the same bytes each time."""
    attempt = admitted.after.current
    assert attempt is not None
    return submission_of(admitted.after, attempt, admitted.request, keys)


def submission_of(run: FlowRun, attempt: Attempt, request: Any, keys: Keys) -> Submission:
    token = keys.sign(RunToken(run.id, attempt.number, attempt.token_expires), key_id=attempt.key_id)
    return Submission(run.id, attempt.number, attempt.submit_seq, request, token)


def _start_deadline(run: FlowRun, place: Place, now: datetime) -> datetime:
    return max(now, run.scheduled_time) + place.infrastructure.traits.start_deadline


def _environment(run: FlowRun, configuration: Mapping[str, Any], place: Place, now: datetime) -> dict[str, str]:
    """What the runner reads; without the token. Parameters that are too long are fetched instead."""
    environment = {
        "PUSHPOOL_API_URL": place.api_url,
        "PUSHPOOL_RUN_ID": run.id,
        "PUSHPOOL_ATTEMPT": str(run.attempt),
        "PUSHPOOL_SCHEDULED_TIME": _iso(run.scheduled_time),
        "PUSHPOOL_START_DEADLINE": _iso(_start_deadline(run, place, now)),
        "PUSHPOOL_HEARTBEAT_SECONDS": f"{place.patience.heartbeat.total_seconds():g}",
    }
    parameters = json.dumps(dict(run.parameters), ensure_ascii=False, separators=(",", ":"))
    if len(parameters.encode()) <= place.infrastructure.traits.parameters_bytes:
        environment["PUSHPOOL_PARAMETERS"] = parameters
    elif configuration.get("runner") is False:
        raise TooLarge(
            f"the parameters have {len(parameters.encode())} bytes, and without the runner, which would fetch them, at "
            f"most {place.infrastructure.traits.parameters_bytes} reach a container; shorten them, or use the runner",
            path="parameters",
        )
    if configuration.get("start_without_claim"):
        environment["PUSHPOOL_START_WITHOUT_CLAIM"] = "1"
    if configuration.get("grace_seconds") is not None:
        environment["PUSHPOOL_GRACE_SECONDS"] = str(configuration["grace_seconds"])
    return environment


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
