"""Jobs, executions and tasks as JSON of the REST API, with what the service adds to them."""

from __future__ import annotations

import copy
import secrets
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

from dispatcher.testing.servers.cloud_run.theirs import Json

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # of an execution that nobody named


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def etag() -> str:
    return f'"{secrets.token_urlsafe(16)}"'


def suffix() -> str:
    return "".join(secrets.choice(_SUFFIX) for _ in range(5))


def new_job(name: str, given: Json, creator: str) -> Json:
    """As it is stored: the given, the defaults, and what the service says of it."""
    made = copy.deepcopy(given)
    template = made["template"]
    template.setdefault("taskCount", 1)
    task = template["template"]
    task.setdefault("maxRetries", 3)
    task.setdefault("timeout", "600s")
    task.setdefault("executionEnvironment", "EXECUTION_ENVIRONMENT_GEN2")
    for container in task["containers"]:
        limits = container.setdefault("resources", {}).setdefault("limits", {})
        limits.setdefault("cpu", "1000m")
        limits.setdefault("memory", "512Mi")
    at = now()
    return {
        **made, "name": name, "uid": str(uuid4()), "generation": "1", "observedGeneration": "1", "createTime": at,
        "updateTime": at, "creator": creator, "lastModifier": creator, "launchStage": made.get("launchStage", "GA"),
        "reconciling": True, "conditions": [], "etag": etag(),
        "terminalCondition": {"type": "Ready", "state": "CONDITION_RECONCILING", "lastTransitionTime": at},
    }  # fmt: skip


def new_execution(job: Json, name: str, overrides: Json, creator: str) -> Json:
    """Of the job as it is now, with what RunJob overrides."""
    template = copy.deepcopy(job["template"])
    task = template["template"]
    _override(template, overrides)
    at, count = now(), int(template["taskCount"])
    parallelism = int(template.get("parallelism") or count)
    return {
        "name": name, "uid": str(uuid4()), "generation": "1", "observedGeneration": "1", "createTime": at,
        "updateTime": at, "creator": creator, "labels": template.get("labels", {}), "job": _last(job["name"]),
        "annotations": template.get("annotations", {}), "launchStage": job["launchStage"], "taskCount": count,
        "parallelism": min(parallelism, count), "template": task, "reconciling": True, "conditions": [],
        "logUri": log_uri(name), "etag": etag(),
    }  # fmt: skip


def _override(template: Json, overrides: Json) -> None:
    """RunJobRequest.Overrides: arguments and counts replace, environments are merged by name."""
    task = template["template"]
    if "taskCount" in overrides:
        template["taskCount"] = overrides["taskCount"]
    if "timeout" in overrides:
        task["timeout"] = overrides["timeout"]
    for each in overrides.get("containerOverrides", []):
        container = next(
            (known for known in task["containers"] if each.get("name", "") in ("", known.get("name"))),
            task["containers"][0],
        )
        if "args" in each or each.get("clearArgs"):
            container["args"] = each.get("args", [])
        named = {pair["name"]: pair for pair in [*container.get("env", []), *each.get("env", [])]}
        container["env"] = list(named.values())


def new_task(execution: Json, index: int) -> Json:
    name = f"{execution['name']}/tasks/{_last(execution['name'])}-task{index}"
    at, template = now(), execution["template"]
    return {
        "name": name, "uid": str(uuid4()), "generation": "1", "createTime": at, "scheduledTime": at, "updateTime": at,
        "job": execution["job"], "execution": _last(execution["name"]), "index": index, "retried": 0,
        "labels": execution["labels"], "containers": template["containers"], "volumes": template.get("volumes", []),
        "maxRetries": template["maxRetries"], "timeout": template["timeout"], "reconciling": True, "conditions": [],
        "logUri": execution["logUri"], "etag": etag(),
    }  # fmt: skip


def log_uri(execution: str) -> str:
    """As the service spells it."""
    project, region, job, name = (execution.split("/")[number] for number in (1, 3, 5, 7))
    lines = (
        'resource.type="cloud_run_job"', f'resource.labels.job_name="{job}"', f'resource.labels.location="{region}"',
        f'labels."run.googleapis.com/execution_name"="{name}"',
    )  # fmt: skip
    wanted = quote("\n".join(lines), safe="/.")
    return f"https://console.cloud.google.com/logs/viewer?project={project}&advancedFilter={wanted}"


def _last(name: str) -> str:
    return name.rpartition("/")[2]
