"""A job's configuration, in the skeletons of Prefect's Cloud Run templates, as what is sent to Cloud Run. Pure.

`job_body` is a job as the API's second version has it, or its first, which is translated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from adapters.commands import command_of, has_runner, pruned, refuse_marks, words_of
from adapters.infrastructure.cloud_run import knative, places
from adapters.infrastructure.cloud_run.environment import (
    clear_values,
    files_of,
    pairs_of,
    secret_variables,
    sockets_of,
)
from adapters.infrastructure.cloud_run.labels import SUBMISSION, labels_of
from adapters.infrastructure.cloud_run.messages import check_job
from adapters.infrastructure.cloud_run.sizes import check_gpu, check_pair, timeout_of
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job, Request
from dispatcher.runs import Target

PER_RUN, SHARED = "job per run", "shared job"
GPU = "nvidia.com/gpu"
# Ten seconds after SIGTERM comes SIGKILL (documentation, "Container runtime contract"): the runner reports before that.
GRACE_SECONDS = "7"

_TOKENS = ("startExecutionToken", "runExecutionToken")
_MAY_BE_SECRET = re.compile(r"containers\[0\]\.env\b")
_WAY_OUT = "put it into env, or name a secret of Secret Manager in env_from_secrets or secret_files"
_MOST_WORDS = 1000  # documentation, "Cloud Run quotas and limits"

Json = dict[str, Any]


def request_of(job: Job, project: str, region: str) -> Request:
    """`create_job` holds CreateJobRequest, and `run_job`, of a job that runs share, RunJobRequest.

    The target's group is the shared job; else it is empty, or `places.KEPT`.

    :raises InvalidInput: the configuration cannot be made into a request.
    """
    configuration = job.configuration
    way = configuration.get("submission") or PER_RUN
    if way not in (PER_RUN, SHARED):
        raise InvalidInput(f"submission is {way!r}: write {PER_RUN!r} or {SHARED!r}", path="submission")
    is_shared = way == SHARED
    parent = places.parent(project, region)
    body = _body(configuration, parent)
    task = body["template"]["template"]
    main = task["containers"][0]
    argv = _command(configuration, main)
    under_runner = has_runner(argv, configuration.get("runner"))
    _check_once(body["template"], under_runner=under_runner)
    clear, secret = _told(job, main)
    if under_runner:
        clear.setdefault("PUSHPOOL_GRACE_SECONDS", GRACE_SECONDS)
    task["timeout"] = timeout_of(job.timeout_seconds, _timeout(configuration, task), gpu=_has_gpu(task))
    body["labels"] = labels_of(_labels(configuration, body), job, shared=is_shared)
    body["template"]["labels"] = body["labels"]
    if is_shared:
        clear[SUBMISSION] = str(job.submit_seq)
        made = _shared(job.pool, parent, body, argv, clear, secret)
        group = str(made["create_job"]["jobId"])
    else:
        main |= _words(argv) | {"env": pairs_of(clear, secret)}
        body["startExecutionToken"] = places.START_TOKEN
        name = places.job_id(job.run_id, job.attempt, job.submit_seq)
        made = {"create_job": {"parent": parent, "jobId": name, "job": body}}
        group = places.KEPT if configuration.get("keep_job") else ""
    check_job(made["create_job"]["job"])
    return Request(Target(places.TYPE, account=project, region=region, group=group), made)


def _body(configuration: Mapping[str, Any], parent: str) -> Json:
    """The job as the template has it, with an image and everything in its place."""
    given: object = configuration.get("job_body") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"job_body is {given!r}: write an object", path="job_body")
    made: Json = pruned(copy.deepcopy(dict(given)))
    refuse_marks(made, "job_body", allowed=_MAY_BE_SECRET, way_out=_WAY_OUT)
    if knative.is_first_version(made):
        made = pruned(knative.second_version(made))
    for key in ("name", "client", "clientVersion", "etag"):
        made.pop(key, None)
    for token in _TOKENS:
        if token in made:
            raise InvalidInput(
                f"job_body.{token} is set, and it is ours to set; leave it out", path=f"job_body.{token}"
            )
    _check_shape(made)
    made["client"] = "pushpool"
    task = made["template"]["template"]
    _connect(task, parent)
    _mount(configuration, task)
    _check_sizes(task)
    task.setdefault("maxRetries", 0)
    return made


def _connect(task: Json, parent: str) -> None:
    """A connector alone, as Prefect's push template has it; by its name, as the API's first version takes it."""
    vpc = task.get("vpcAccess")
    if isinstance(vpc, str):
        vpc = task["vpcAccess"] = {"connector": vpc}
    if isinstance(vpc, dict) and isinstance(vpc.get("connector"), str) and "/" not in vpc["connector"]:
        vpc["connector"] = f"{parent}/connectors/{vpc['connector']}"


def _check_shape(made: Json) -> None:
    """Down to the container that the run is."""
    path, part = "job_body", made
    for key in ("template", "template"):
        path, inner = f"{path}.{key}", part.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InvalidInput(f"{path} is {inner!r}: write an object", path=path)
        part = inner
    containers = part.setdefault("containers", [{}]) or [{}]
    if not isinstance(containers, list) or not all(isinstance(each, dict) for each in containers):
        raise InvalidInput(f"{path}.containers is {containers!r}: write a list of objects", path=f"{path}.containers")
    part["containers"] = containers
    if not containers[0].get("image"):
        raise InvalidInput(
            "image is empty: give the deployment an image, or the pool a default for the variable `image`", path="image"
        )
    for sidecar in containers[1:]:
        for key in ("command", "args"):
            if key in sidecar:
                sidecar[key] = words_of(sidecar[key], f"{path}.containers.{key}")


def _mount(configuration: Mapping[str, Any], task: Json) -> None:
    """Secrets as files and Cloud SQL's sockets, beside what the template mounts."""
    files, sockets = files_of(configuration.get("secret_files")), sockets_of(configuration.get("cloudsql_instances"))
    volumes, mounts = [*files[0], *sockets[0]], [*files[1], *sockets[1]]
    if volumes:
        task["volumes"] = [*task.get("volumes", []), *volumes]
        main = task["containers"][0]
        main["volumeMounts"] = [*main.get("volumeMounts", []), *mounts]


def _check_sizes(task: Json) -> None:
    """Of one container alone: of several it is their sum that counts."""
    resources = task["containers"][0].get("resources", {})
    limits = resources.get("limits", {}) if isinstance(resources, Mapping) else resources
    if not isinstance(limits, dict):
        raise InvalidInput(f"resources.limits is {limits!r}: write an object", path="job_body")
    for key, value in limits.items():
        limits[key] = str(value)
    if len(task["containers"]) > 1:
        return
    if "cpu" in limits or "memory" in limits:
        check_pair(limits.get("cpu", "1"), limits.get("memory", "512Mi"))
    if GPU in limits:
        check_gpu(limits.get("cpu", "1"), limits.get("memory", "512Mi"))
        if not task.get("nodeSelector"):
            raise InvalidInput("gpu is given without gpu_type; name one, as in nvidia-l4", path="gpu_type")


def _has_gpu(task: Mapping[str, Any]) -> bool:
    return any(GPU in each.get("resources", {}).get("limits", {}) for each in task["containers"])


def _command(configuration: Mapping[str, Any], main: Json) -> list[str]:
    """The command and its arguments, under the runner; the image's own if there is neither."""
    command = configuration.get("command") or main.get("command")
    argv = [*words_of(command), *words_of(main.get("args"), "args")]
    runner = configuration.get("runner")
    made = command_of(argv, runner) if command or runner is not False else []
    if len(made) > _MOST_WORDS:
        raise InvalidInput(f"command has {len(made)} words, and Cloud Run takes {_MOST_WORDS}", path="command")
    return made


def _words(argv: list[str]) -> Json:
    """`command` stands for the image's entry point (API Container); with neither word, the image's own."""
    return {"command": argv[:1], "args": argv[1:]} if argv else {}


def _check_once(template: Mapping[str, Any], *, under_runner: bool) -> None:
    """The runner lets one container of an attempt run, and sends the others away."""
    several = {"task_count": template.get("taskCount", 1), "max_retries": template["template"]["maxRetries"]}
    for name, most, instead in (
        ("task_count", 1, "set runner to false"),
        ("max_retries", 0, "use the deployment's retries, or set runner to false"),
    ):
        value = several[name]
        if not isinstance(value, int | str) or not str(value).isdecimal():
            raise InvalidInput(f"{name} is {value!r}: write a whole number", path=name)
        if under_runner and int(value) > most:
            raise InvalidInput(
                f"{name} is {value}, and the runner lets one container of an attempt run; {instead}", path=name
            )


def _told(job: Job, main: Json) -> tuple[Json, Json]:
    nested = main.pop("env", None)
    clear = clear_values(job, nested)
    return clear, secret_variables(job, nested, clear)


def _timeout(configuration: Mapping[str, Any], task: Mapping[str, Any]) -> object:
    given = task.get("timeout")
    return given if given is not None else configuration.get("timeout")


def _labels(configuration: Mapping[str, Any], body: Mapping[str, Any]) -> Json:
    nested = {**(body.get("labels") or {}), **(body["template"].get("labels") or {})}
    return {**nested, **(configuration.get("labels") or {})}


def _shared(pool: str, parent: str, body: Json, argv: list[str], clear: Json, secret: Json) -> Json:
    """The job that runs share, and what of this run's execution is its own."""
    template = body["template"]
    task = template["template"]
    main = task["containers"][0]
    if len(task["containers"]) > 1 and not main.get("name"):
        raise InvalidInput("a shared job with several containers needs a name for the first one", path="job_body")
    own: Json = {"env": pairs_of(clear, {}), **({"args": argv[1:]} if argv[1:] else {})}
    if main.get("name"):
        own["name"] = main["name"]
    overrides: Json = {"containerOverrides": [own], "timeout": task.pop("timeout")}
    if "taskCount" in template:
        overrides["taskCount"] = int(template.pop("taskCount"))
    if argv:
        main.pop("args", None)
    main |= {"command": argv[:1]} if argv else {}
    main |= {"env": pairs_of({}, secret)} if secret else {}
    name = places.shared_job_id(pool, body)
    return {
        "create_job": {"parent": parent, "jobId": name, "job": body},
        "run_job": {"name": places.job_name(parent, name), "overrides": overrides},
    }
