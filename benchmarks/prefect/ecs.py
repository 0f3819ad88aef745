"""Runs as tasks of ECS: a Prefect server with an ECS worker, and `pushpool serve` with an `ecs:push` pool.

Both ask the same local account, whose tasks are containers of an image with Python and pushpool's runner. A task is
started by RunTask, which is heard on its way there; when its container then starts is the account's own affair.
"""

from __future__ import annotations

import http.client
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from benchmarks.prefect import measures, ours
from benchmarks.prefect.listening import Listener, now
from benchmarks.prefect.local import FAST_QUERY_SECONDS, JOB, Size, freed
from benchmarks.prefect.processes import Place
from benchmarks.prefect.report import Better, Figure
from benchmarks.prefect.side import Lane, Pair
from benchmarks.prefect.theirs import Prefect
from dispatcher.testing.servers import loopback
from dispatcher.testing.servers.aws_account import AwsAccount, aws_account

CLUSTER = "bench"
OBSERVED = "prefect-ecs-tasks-events"  # Prefect's worker reads events there; none are sent to it, and so it rests
NETWORK = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
_NAMES = ("PREFECT__FLOW_RUN_ID", "PUSHPOOL_RUN_ID")


@dataclass(slots=True)
class Asked:
    """When each run's task was asked for, as seconds since 1970."""

    run_tasks: dict[str, float] = field(default_factory=dict)

    def hear(self, body: bytes) -> None:
        (container,) = json.loads(body)["overrides"]["containerOverrides"]
        (run,) = (pair["value"] for pair in container["environment"] if pair["name"] in _NAMES)
        self.run_tasks.setdefault(run, now())


@contextmanager
def listening_in(upstream: str, asked: Asked) -> Iterator[str]:
    """An endpoint that passes everything on."""
    host = upstream.removeprefix("http://")

    class Passing(loopback.Silent, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("X-Amz-Target", "").endswith(".RunTask"):
                asked.hear(body)
            line = http.client.HTTPConnection(host, timeout=60)
            try:
                line.request("POST", self.path, body, {**self.headers, "Host": host})
                answer = line.getresponse()
                self._pass_on(answer, answer.read())
            finally:
                line.close()

        def _pass_on(self, answer: http.client.HTTPResponse, content: bytes) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/x-amz-json-1.1"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with loopback.serving(Passing) as endpoint:
        yield endpoint


@contextmanager
def by_task(place: Place, theirs: Prefect, listener: Listener, asked: Asked) -> Iterator[Pair]:
    """The same command line in a container on both sides; on ours under the runner, as the image has it."""
    with aws_account(_short(place.folder)) as account, listening_in(account.endpoint, asked) as endpoint:
        account.client("ecs").create_cluster(clusterName=CLUSTER)
        account.client("sqs").create_queue(QueueName=OBSERVED)
        aws = {**account.environment, "AWS_ENDPOINT_URL": endpoint}
        words = ["python3", "-I", "-S", "-c", JOB.read_text(), str(listener.port), "0"]
        _deploy_theirs(theirs, account, words)
        worker = theirs.worker("tasks", "ecs", query_seconds=FAST_QUERY_SECONDS, environment=aws)
        with ours.serving(place, "serve-ecs", aws) as our_side, worker:
            _deploy_ours(our_side, account, words)
            yield Pair(
                Lane(theirs, "tasks", "task", listener, FAST_QUERY_SECONDS), Lane(our_side, "tasks", "task", listener)
            )


def _short(folder: Path) -> Path:
    """The engine's socket wants a short path."""
    made = folder / "aws"
    made.mkdir()
    return made


def _deploy_theirs(theirs: Prefect, account: AwsAccount, words: Sequence[str]) -> None:
    theirs.pool("tasks", "ecs", networkConfiguration={"awsvpcConfiguration": NETWORK})
    variables = {"cluster": CLUSTER, "image": account.image, "cpu": 256, "memory": 512, "command": shlex.join(words)}
    theirs.deploy("task", "tasks", job_variables=variables)


def _deploy_ours(our_side: ours.Pushpool, account: AwsAccount, words: Sequence[str]) -> None:
    our_side.pool(
        "tasks", "ecs:push",
        cluster=CLUSTER, image=account.image, cpu=256, memory=512, network_configuration=NETWORK,
    )  # fmt: skip
    our_side.deploy("task", "tasks", command=list(words))


def figures(pair: Pair, asked: Asked, size: Size) -> Iterator[Figure]:
    starts, begun = pair.theirs.listener.starts, asked.run_tasks
    measures.warm(pair)
    singles = measures.in_turns(pair, size.singles, measures.single)
    yield Figure("created now → RunTask", singles.each(lambda one: begun[one.run] - one.asked), "s")
    yield Figure("created now → start in the container", singles.each(lambda one: one.took), "s")
    yield freed("freed slot → next RunTask", pair, size, begun)
    found = measures.in_turns(pair, size.bursts, lambda lane: measures.burst(lane, size.runs))
    due = f"{size.runs} runs due at once"
    yield Figure(f"{due}: RunTasks a second", found.each(lambda one: one.rate(begun)), "", Better.MORE)
    yield Figure(f"{due}: until the last has started", found.each(lambda one: one.last(starts)), "s")
    yield Figure("CPU for 1,000 runs, of what stays up", found.each(lambda one: one.cpu), "s")
