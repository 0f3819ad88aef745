"""A run's life as the calls that are made to a store for it, each of them metered."""

from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from dispatcher.ports import Admission, Move, Request, Store
from dispatcher.runs import (
    Actor,
    Attempt,
    FlowRun,
    Name,
    Policy,
    Slot,
    Target,
    deployment_limit,
    moved,
    pool_limit,
    queue_limit,
    with_attempt,
)
from dispatcher.testing.builders import NOW, make_run

Cost_co = TypeVar("Cost_co", covariant=True)

SECOND = timedelta(seconds=1)
_TARGET = Target("ecs:push", "123456789012", "eu-central-1", "production")


class Meter(Protocol[Cost_co]):
    """Counts what a store's calls cost where it keeps what it keeps."""

    def step(self) -> AbstractContextManager[Cost_co]:
        """What is called in the block."""
        ...


def ecs_run(random_: random.Random, *, parameters: int = 1000) -> FlowRun:
    """A scheduled run as it is in earnest, with so many bytes of parameters that hardly get smaller."""
    scheduled = make_run(id=str(uuid.UUID(int=random_.getrandbits(128), version=4)), deployment="nightly-report")
    text = "".join(random_.choices(string.ascii_letters + string.digits + "-_", k=max(0, parameters - 12)))
    at = NOW + timedelta(microseconds=random_.randrange(10**6))
    return replace(
        scheduled,
        name="nightly-report-20260301T120000",
        pool="production-ecs",
        parameters={"text": text} if parameters else {},
        tags=("nightly", "team-a"),
        schedule_id=str(uuid.UUID(int=random_.getrandbits(128), version=4)),
        schedule_version=1,
        created=at,
        policy=Policy(2, 30, 3600, notify=("crashed", "failed")),
    )


def life(
    store: Store, meter: Meter[Cost_co], *, limits: int = 1, parameters: int = 1000, seed: int = 7
) -> dict[str, Cost_co]:
    """Each step of a run that is admitted into so many limits (1 to 3), completes, and is told of by its container."""
    draw = random.Random(seed)  # noqa: S311
    run = ecs_run(draw, parameters=parameters)
    steps: dict[str, Cost_co] = {}

    def step(what: str, call: Callable[[], object]) -> None:
        with meter.step() as cost:
            call()
        steps[what] = cost

    step("create", lambda: store.create_run(run))
    admission = _admission(run, limits)
    step("admit", lambda: store.admit([admission]))
    for what, move in _moves(admission.after, draw):
        if what == "end":
            slot = move.before.slots[0]
            at = NOW + 120 * SECOND
            step("beat", lambda: store.beat(slot, run.id, 1, heard_at=at, check_at=at + 300 * SECOND))  # noqa: B023
        step(what, lambda: store.move(move))  # noqa: B023
    return steps


def _admission(run: FlowRun, limits: int) -> Admission:
    at = NOW + SECOND
    attempt = Attempt(
        number=1, submit_seq=1, target=_TARGET, admitted_at=at, start_deadline=at + 900 * SECOND, key_id="2026-03",
        token_expires=at + timedelta(hours=3),
    )  # fmt: skip
    names = (pool_limit(run.pool), queue_limit(run.pool, run.queue), deployment_limit(run.deployment_id))
    slots = tuple(Slot(limit, str(number)) for number, limit in enumerate(names[:limits]))
    after = moved(run, Name.SUBMITTING, actor=Actor.DISPATCHER, at=at, slots=slots, attempts=(attempt,))
    return Admission(run, after, Request(_TARGET, _run_task(run)), at + 40 * SECOND)


def _run_task(run: FlowRun) -> dict[str, Any]:
    """What is rendered for ECS."""
    variables = {
        "REPORT_BUCKET": "s3://acme-reports-production/nightly",
        "PUSHPOOL_API_URL": "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
        "PUSHPOOL_RUN_ID": run.id,
        "PUSHPOOL_ATTEMPT": "1",
        "PUSHPOOL_SCHEDULED_TIME": "2026-03-01T12:00:00.000Z",
        "PUSHPOOL_START_DEADLINE": "2026-03-01T12:15:01.000Z",
        "PUSHPOOL_HEARTBEAT_SECONDS": "120",
        "PUSHPOOL_PARAMETERS": json.dumps(dict(run.parameters), separators=(",", ":")),
    }
    environment = [{"name": name, "value": given} for name, given in variables.items()]
    command = ["pushpool-run", "--", "python", "-m", "report"]
    return {
        "cluster": "production",
        "taskDefinition": "pushpool-production-ecs-0f3c9a61d2b7:3",
        "launchType": "FARGATE",
        "count": 1,
        "clientToken": f"{run.id}-1-1",
        "startedBy": f"pushpool/{run.id}/1/1",
        "overrides": {"containerOverrides": [{"name": "job", "command": command, "environment": environment}]},
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-0a1b2c3d4e5f60718", "subnet-08f7e6d5c4b3a2910"],
                "securityGroups": ["sg-0123456789abcdef0"],
                "assignPublicIp": "ENABLED",
            }
        },
    }


def _moves(run: FlowRun, draw: random.Random) -> Iterator[tuple[str, Move]]:
    task = uuid.UUID(int=draw.getrandbits(128), version=4).hex
    console = f"https://eu-central-1.console.aws.amazon.com/ecs/v2/clusters/production/tasks/{task}/configuration"
    at = NOW + 2 * SECOND + timedelta(microseconds=draw.randrange(10**6))
    attempts = with_attempt(
        run, handle=f"arn:aws:ecs:eu-central-1:123456789012:task/production/{task}", submitted_at=at,
        links={"console": console, "logs": console.replace("ecs", "cloudwatch")},
    )  # fmt: skip
    before, run = run, moved(run, Name.INFRASTRUCTURE_PENDING, actor=Actor.DISPATCHER, at=at, attempts=attempts)
    yield "record the handle", Move(before, run, check_at=at + 600 * SECOND)
    at += 37 * SECOND
    instance = str(uuid.UUID(int=draw.getrandbits(128), version=4))
    attempts = with_attempt(run, claimed_by=instance, started=at)
    before, run = run, moved(run, Name.RUNNING, actor=Actor.CONTAINER, at=at, started=at, attempts=attempts)
    yield "claim", Move(before, run, check_at=at + 300 * SECOND)
    at += 611 * SECOND
    attempts = with_attempt(run, ended=at, outcome="Completed", exit_code=0)
    after = moved(
        run, Name.COMPLETED, actor=Actor.CONTAINER, at=at, ended=at, exit_code=0, slots=(), attempts=attempts,
        expires_at=at + timedelta(days=30),
    )  # fmt: skip
    yield "end", Move(run, after)
