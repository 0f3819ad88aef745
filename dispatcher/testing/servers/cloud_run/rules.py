"""What the manuals say of a job besides its schema, each rule with its page of cloud.google.com/run/docs."""

from __future__ import annotations

import re
from typing import Any

from dispatcher.testing.servers.cloud_run import schema
from dispatcher.testing.servers.cloud_run.refusals import invalid
from dispatcher.testing.servers.cloud_run.theirs import Json

_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")  # configuring/jobs/labels
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_SYSTEM = ("run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev")
_CPU = re.compile(r"(\d+)m|(\d+(?:\.\d+)?)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|k|K|M|G)?")
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, None: 1}
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,255}|projects/[^/]+/secrets/[A-Za-z0-9_-]{1,255}")
_VERSION = re.compile(r"latest|[0-9]+|[A-Za-z][A-Za-z0-9_-]*")
# configuring/jobs/cpu, "vCPU and memory table": GiB with so many cpus, from and to.
_MEMORY_OF = {1: (0.5, 4), 2: (0.5, 8), 4: (2, 16), 6: (4, 24), 8: (4, 32)}
GPU_CPUS = 4
WEEK, HOUR = 7 * 86400, 3600


def check_job(job: Json, job_id: str) -> None:
    """A request's job. :raises Refused:"""
    if not _ID.fullmatch(job_id):
        raise invalid(
            "job_id", "must use only lowercase letters, digits and hyphens, begin with a letter, and be short"
        )
    for token in ("startExecutionToken", "runExecutionToken"):
        # create-jobs: "The sum of job name and token length must be fewer than 63 characters."
        if len(job_id) + len(job.get(token, "")) >= 63:
            raise invalid(token, "The sum of job name and token length must be fewer than 63 characters.")
    schema.check("Job", job, "job")
    for path, part in (("job", job), ("job.template", job.get("template", {}))):
        _check_labels(part.get("labels", {}), f"{path}.labels")
        _check_annotations(part.get("annotations", {}), f"{path}.annotations")
    check_execution(job["template"], "template")


def check_execution(template: Json, path: str) -> None:
    """:raises Refused:"""
    if not 0 <= template.get("taskCount", 1) <= 10_000:  # quotas
        raise invalid(f"{path}.task_count", "must be between 1 and 10000.")
    task: Json = template.get("template", {})
    path = f"{path}.template"
    if not task.get("containers"):
        raise invalid(f"{path}.containers", "must contain at least one container.")
    if not 0 <= task.get("maxRetries", 0) <= 10:  # quotas
        raise invalid(f"{path}.max_retries", "must be between 0 and 10.")
    check_timeout(task, task.get("timeout"), f"{path}.timeout")
    volumes = _check_volumes(task.get("volumes", []), f"{path}.volumes")
    for number, container in enumerate(task["containers"]):
        _check_container(container, f"{path}.containers[{number}]", volumes)
        _check_resources(task, container, f"{path}.containers[{number}].resources.limits")


def check_timeout(task: Json, timeout: str | None, path: str) -> None:
    """configuring/task-timeout: a week; an hour with a GPU. :raises Refused:"""
    longest = HOUR if _gpus(task) else WEEK
    if timeout is not None and not 0 < float(timeout.removesuffix("s")) <= longest:
        raise invalid(path, f"must be greater than 0 and at most {longest} seconds.")


def check_env(env: list[Json], path: str) -> None:
    """:raises Refused:"""
    if len(env) > 1000:  # quotas
        raise invalid(path, "cannot have more than 1000 environment variables.")
    names = [each["name"] for each in env]
    for number, each in enumerate(env):
        if "=" in each["name"] or len(each["name"]) > 32768 or len(str(each.get("value", "")).encode()) > 32768:
            raise invalid(f"{path}[{number}]", "invalid name, or a value of more than 32768 bytes.")
        if names.count(each["name"]) > 1:
            raise invalid(f"{path}[{number}].name", f"duplicate environment variable {each['name']}.")
        if "valueSource" in each:
            _check_secret(each["valueSource"].get("secretKeyRef", {}), f"{path}[{number}].value_source.secret_key_ref")


def _check_labels(labels: Json, path: str) -> None:
    if len(labels) > 64:
        raise invalid(path, "cannot have more than 64 labels.")
    for key, value in labels.items():
        if any(key.startswith(system) for system in _SYSTEM):
            raise invalid(path, f"system label {key} is not supported in v2.")
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise invalid(path, f"label {key}={value!r}: 63 lowercase letters, digits, underscores and dashes.")


def _check_annotations(annotations: Json, path: str) -> None:
    for key in annotations:
        if any(key.startswith(system) for system in _SYSTEM):
            raise invalid(path, f"system annotation {key} is not supported in v2.")


def _check_container(container: Json, path: str, volumes: set[str]) -> None:
    if len(container.get("args", [])) > 1000 or len(container.get("command", [])) > 1000:  # quotas
        raise invalid(f"{path}.args", "cannot have more than 1000 arguments.")
    check_env(container.get("env", []), f"{path}.env")
    for number, mount in enumerate(container.get("volumeMounts", [])):
        if mount["name"] not in volumes:
            raise invalid(f"{path}.volume_mounts[{number}].name", f"volume {mount['name']} does not exist.")
        if not mount["mountPath"].startswith("/") or ":" in mount["mountPath"]:
            raise invalid(f"{path}.volume_mounts[{number}].mount_path", "must be an absolute path without ':'.")


def _check_volumes(volumes: list[Json], path: str) -> set[str]:
    for number, volume in enumerate(volumes):
        if len(volume) != 2:
            raise invalid(f"{path}[{number}]", "must have a name and exactly one source.")
        if "secret" in volume:
            _check_secret(volume["secret"], f"{path}[{number}].secret")
    return {volume["name"] for volume in volumes}


def _check_secret(secret: Json, path: str) -> None:
    if not _SECRET.fullmatch(secret.get("secret", "")) or not _VERSION.fullmatch(secret.get("version", "latest")):
        raise invalid(path, f"secret {secret.get('secret')!r} is no name of a secret, or its version is none.")


def _gpus(task: Json) -> float:
    limits = [each.get("resources", {}).get("limits", {}) for each in task.get("containers", [])]
    return sum(float(each.get("nvidia.com/gpu", 0)) for each in limits)


def _check_resources(task: Json, container: Json, path: str) -> None:
    limits: Json = container.get("resources", {}).get("limits", {})
    if unknown := set(limits) - {"cpu", "memory", "nvidia.com/gpu"}:
        raise invalid(path, f"unsupported resource {min(unknown)}.")
    cpu = _cpu(limits.get("cpu", "1"), f"{path}.cpu")
    gibibytes = _memory(limits.get("memory", "512Mi"), f"{path}.memory") / 2**30
    if gibibytes < 0.5:
        raise invalid(
            f"{path}.memory",
            "Invalid value specified for memory. Total memory < 512 Mi is not supported with gen2 execution "
            "environment.",
        )
    least, most = _MEMORY_OF.get(round(cpu), (0.5, 4)) if cpu >= 1 else (0.5, 0.5 if cpu < 0.5 else 1)
    if not least <= gibibytes <= most:
        raise invalid(
            f"{path}.memory",
            f"Invalid value specified for memory. For {cpu} CPU, memory must be between {_spelled(least)} and "
            f"{_spelled(most)} inclusive.",
        )
    if _gpus(task) and (cpu < GPU_CPUS or gibibytes < 16 or "nodeSelector" not in task):
        raise invalid(path, "A GPU needs at least 4 CPUs, 16Gi of memory and an accelerator.")


def _spelled(gibibytes: float) -> str:
    return "512Mi" if gibibytes == 0.5 else f"{gibibytes:g}Gi"


def _cpu(text: Any, path: str) -> float:
    found = _CPU.fullmatch(str(text))
    cpus = (float(found[1]) / 1000 if found[1] else float(found[2])) if found else 0.0
    if cpus not in _MEMORY_OF and not 0.08 <= cpus < 1:
        raise invalid(path, "Invalid value specified for cpu. Must be equal to one of [1.0, 2.0, 4.0, 6.0, 8.0]")
    return cpus


def _memory(text: Any, path: str) -> float:
    found = _MEMORY.fullmatch(str(text))
    if found is None:
        raise invalid(path, f"Invalid value specified for memory: {text!r}.")
    return float(found[1]) * _UNITS[found[2]]
