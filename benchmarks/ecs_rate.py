"""Passes over 1,000 due runs on DynamoDB Local, with an ECS that takes 20 RunTasks a second and throttles the rest.

The ECS adapter and its client are the real ones; what they send is answered at the client's edge, after as long as AWS
takes, by a bucket of tokens (Developer Guide, "Fargate throttling quotas": 20 calls a second, no more at once).
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

from botocore.awsrequest import AWSResponse

from adapters.infrastructure import ecs
from adapters.infrastructure.ecs.clients import Clients
from adapters.stores.dynamodb import DynamoStore
from benchmarks.bench import DEPLOYMENT, POOL, NoWakes, Row, timed
from dispatcher import records, registry
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.queues import put_queue
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.tokens import KeyRing
from dispatcher.wiring import WallClock

DUE = 1000
PER_SECOND = BURST = 20
ANSWER_SECONDS = (0.08, 0.25)  # RunTask's own, about
VARIABLES = {
    "cluster": "bench",
    "image": "job:1",
    "command": "job",
    "network_configuration": {"subnets": ["subnet-1"]},
}


class LimitedEcs:
    """The far side: answers after a while, and throttles by a bucket that holds a second's worth."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.throttled = 0
        self._tokens, self._at = float(BURST), time.monotonic()
        self._guard = threading.Lock()

    def answer(self, request: Any, **_: Any) -> AWSResponse:
        """Stands in for the wire: botocore calls it before it would send."""
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        if operation == "RunTask" and not self._may_start():
            return _said(request, 400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
        time.sleep(random.uniform(*ANSWER_SECONDS))
        if operation == "RunTask":
            arn = f"arn:aws:ecs:eu-central-1:123456789012:task/bench/{uuid4().hex}"
            return _said(request, 200, {"tasks": [{"taskArn": arn}], "failures": []})
        assert operation == "DescribeTaskDefinition", operation
        return _said(request, 200, {"taskDefinition": {"status": "ACTIVE"}})

    def _may_start(self) -> bool:
        with self._guard:
            now = time.monotonic()
            self._tokens, self._at = min(BURST, self._tokens + (now - self._at) * PER_SECOND), now
            if self._tokens < 1:
                self.throttled += 1
                return False
            self._tokens -= 1
            self.taken.append(now)
            return True


def _said(request: Any, status: int, body: dict[str, Any]) -> AWSResponse:
    answer = AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, None)
    answer._content = json.dumps(body).encode()  # noqa: SLF001 - it would read it from a socket
    return answer


def rows(store: DynamoStore) -> Iterator[Row]:
    far, adapter = LimitedEcs(), ecs.open({"region": "eu-central-1"})
    clients: Clients = adapter._clients  # noqa: SLF001 - the wire is what is stood in for
    clients.of("ecs", "eu-central-1").meta.events.register("before-send.ecs", far.answer)
    context = Context(
        store, lambda _: adapter, NoWakes(), KeyRing.generate(), WallClock(), "https://api.example"
    )  # fmt: skip
    _install(context)
    for _ in range(DUE):
        flow_runs.create_run(context, DEPLOYMENT, RunForm())
    dispatcher = Dispatcher(context)
    took = timed(lambda: _passes(dispatcher))
    dispatcher.close()
    span = far.taken[-1] - far.taken[0]
    possible = BURST + span * PER_SECOND
    yield Row(
        f"{len(far.taken):,} due runs, ECS limited to {PER_SECOND} calls a second",
        f"{len(far.taken) / possible:.1%} of the rate used, in {took:.1f} s",
        "≥ 95 %",
    )
    yield Row("throttled RunTasks of those", f"{far.throttled}", "0")


def _install(context: Context) -> None:
    now = context.clock.now()
    template = registry.template("ecs:push")
    pool = WorkPool(
        name=POOL, type="ecs:push", created=now, updated=now, base_job_template=template, variables=VARIABLES
    )
    records.write(context.store, pool)
    put_queue(context, POOL, "default", WorkQueueForm())
    deployments.put_deployment(context, DEPLOYMENT, DeploymentForm(pool=POOL))


def _passes(dispatcher: Dispatcher) -> None:
    """As the queue's messages bring them: each with two minutes, and the next where one has run out of them."""
    hops = 0
    while dispatcher.wake(POOL, until=dispatcher.context.clock.now() + timedelta(minutes=2), hops=hops).more:
        hops += 1
