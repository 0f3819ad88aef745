"""Where tasks run and what they are called there: regions, clusters, tokens and links. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote

TYPE = "ecs:push"
DEFAULT_CLUSTER = "default"  # what ECS takes when none is named

_STARTED_BY = re.compile(r"pushpool/([A-Za-z0-9_-]+)/([0-9]{1,6})/([0-9]{1,9})")
_TASK = re.compile(r"arn:(?P<partition>aws[a-z-]*):ecs:(?P<region>[a-z0-9-]+):(?P<account>\d*):task/(?P<path>[\w/-]+)")
_CLUSTER_REGION = re.compile(r"arn:aws[a-z-]*:ecs:([a-z0-9-]+):\d*:cluster/.+")
_DOMAINS = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose a task is, as its `startedBy` says."""

    run_id: str
    attempt: int
    submit_seq: int


@dataclass(frozen=True, slots=True)
class Task:
    """A task's ARN in parts; `cluster` is empty in ARNs of the old short form."""

    partition: str
    region: str
    cluster: str
    id: str


def started_by(run_id: str, attempt: int, submit_seq: int) -> str:
    """RunTask's `startedBy`: in every event and description of the task, and ListTasks finds by it (API RunTask)."""
    return f"pushpool/{run_id}/{attempt}/{submit_seq}"


def origin(started: object) -> Origin | None:
    """None: it is none of ours."""
    found = _STARTED_BY.fullmatch(started) if isinstance(started, str) else None
    return Origin(found[1], int(found[2]), int(found[3])) if found else None


def client_token(run_id: str, attempt: int, submit_seq: int) -> str:
    """At most 64 characters (API RunTask). ECS repeats a token's answer, a refusal too: each submission has its own."""
    return hashlib.sha256(f"{run_id}/{attempt}/{submit_seq}".encode()).hexdigest()


def task_of(handle: str) -> Task | None:
    """None: it is no task's ARN."""
    found = _TASK.fullmatch(handle)
    if found is None:
        return None
    cluster, _, task_id = found["path"].rpartition("/")
    return Task(found["partition"], found["region"], cluster, task_id)


def region_of_cluster(cluster: str) -> str:
    """Of a cluster's ARN; "" if it is a name."""
    found = _CLUSTER_REGION.fullmatch(cluster)
    return found[1] if found else ""


def cluster_name(cluster: str) -> str:
    return cluster.rpartition("/")[2]


def console_link(handle: str, cluster: str) -> str:
    """Where the console shows the task; "" for what is no task."""
    task = task_of(handle)
    if task is None:
        return ""
    path = f"ecs/v2/clusters/{task.cluster or cluster_name(cluster)}/tasks/{task.id}/logs"
    return f"{_console(task)}/{path}?region={task.region}"


def logs_link(handle: str, container: str, options: dict[str, str]) -> str:
    """Where CloudWatch shows what the container wrote, by its `awslogs` options; "" if they name no stream.

    A stream is called `prefix/container/task` (Developer guide, "Send Amazon ECS logs to CloudWatch").
    """
    task = task_of(handle)
    group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
    if task is None or not group or not prefix:
        return ""
    region = options.get("awslogs-region") or task.region
    stream = f"{prefix}/{container}/{task.id}"
    where = f"log-groups/log-group/{_twice(group)}/log-events/{_twice(stream)}"
    return f"{_console(task, region)}/cloudwatch/home?region={region}#logsV2:{where}"


def _console(task: Task, region: str = "") -> str:
    return f"https://{region or task.region}.{_DOMAINS.get(task.partition, 'console.aws.amazon.com')}"


def _twice(text: str) -> str:
    """As the CloudWatch console wants it behind the `#`: encoded twice, with $ for %."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
