"""A job of the API's first version (run.googleapis.com/v1, Knative's form) as one of the second. Pure.

What is not known here is refused, and not passed over: a setting that has no effect is worse than an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dispatcher.errors import InvalidInput

API_VERSION = "run.googleapis.com/v1"
_PREFIX = "run.googleapis.com/"
_ENVIRONMENTS = {"gen1": "EXECUTION_ENVIRONMENT_GEN1", "gen2": "EXECUTION_ENVIRONMENT_GEN2"}
_EGRESS = {"all-traffic": "ALL_TRAFFIC", "all": "ALL_TRAFFIC", "private-ranges-only": "PRIVATE_RANGES_ONLY"}
_SAME = frozenset({"name", "image", "command", "args", "workingDir", "volumeMounts", "ports", "dependsOn"})
# Of what the service itself writes, when somebody exported a job.
_IGNORED = frozenset({"client-name", "client-version", "creator", "lastModifier", "operation-id", "job"})

Json = dict[str, Any]


def is_first_version(body: Mapping[str, Any]) -> bool:
    return "spec" in body or body.get("apiVersion") == API_VERSION


def second_version(body: Mapping[str, Any]) -> Json:
    """:raises InvalidInput: it has something that is not known; `path` says where."""
    _known(body, {"apiVersion", "kind", "metadata", "spec", "status"}, "")
    spec = _part(body, "spec", "")
    _known(spec, {"template"}, "spec")
    template = _part(spec, "template", "spec")
    _known(template, {"metadata", "spec"}, "spec.template")
    inner = _part(template, "spec", "spec.template")
    _known(inner, {"parallelism", "taskCount", "template"}, "spec.template.spec")
    tasks = _part(inner, "template", "spec.template.spec")
    _known(tasks, {"spec", "metadata"}, "spec.template.spec.template")
    task = _task(_part(tasks, "spec", "spec.template.spec.template"), "spec.template.spec.template.spec")
    made: Json = {"template": {"template": task}}
    for key in ("parallelism", "taskCount"):
        if inner.get(key) is not None:
            made["template"][key] = inner[key]
    for where, resource in (("metadata", body), ("spec.template.metadata", template)):
        metadata = _part(resource, "metadata", "")
        _annotate(made, _part(metadata, "annotations", where), f"{where}.annotations")
        if labels := metadata.get("labels"):
            (made if where == "metadata" else made["template"])["labels"] = labels
    return made


def _task(spec: Mapping[str, Any], path: str) -> Json:
    known = {"containers", "serviceAccountName", "timeoutSeconds", "maxRetries", "volumes", "nodeSelector"}
    _known(spec, known, path)
    made: Json = {}
    for ours, theirs in (("serviceAccount", "serviceAccountName"), ("timeout", "timeoutSeconds"), ("maxRetries",) * 2):
        if spec.get(theirs) is not None:
            made[ours] = spec[theirs]
    if spec.get("nodeSelector"):
        made["nodeSelector"] = {"accelerator": spec["nodeSelector"].get(f"{_PREFIX}accelerator")}
    made["containers"] = [_container(each, f"{path}.containers[{n}]") for n, each in _items(spec, "containers", path)]
    made["volumes"] = [_volume(each, f"{path}.volumes[{n}]") for n, each in _items(spec, "volumes", path)]
    return made


def _container(container: Mapping[str, Any], path: str) -> Json:
    _known(container, {*_SAME, "env", "resources"}, path)
    made = {key: container[key] for key in _SAME if container.get(key) is not None}
    resources = _part(container, "resources", path)
    _known(resources, {"limits", "requests"}, f"{path}.resources")  # there are no requests in the second version
    if limits := resources.get("limits"):
        made["resources"] = {"limits": limits}
    env = container.get("env")
    if isinstance(env, Mapping):
        made["env"] = env
    elif env:
        made["env"] = [_variable(each, f"{path}.env[{n}]") for n, each in _items(container, "env", path)]
    return made


def _variable(pair: Mapping[str, Any], path: str) -> Json:
    _known(pair, {"name", "value", "valueFrom"}, path)
    if not pair.get("valueFrom"):
        return {key: pair[key] for key in ("name", "value") if key in pair}
    selector = _part(_part(pair, "valueFrom", path), "secretKeyRef", f"{path}.valueFrom")
    secret = {"secret": selector.get("name"), "version": selector.get("key")}
    return {"name": pair.get("name"), "valueSource": {"secretKeyRef": secret}}


def _volume(volume: Mapping[str, Any], path: str) -> Json:
    _known(volume, {"name", "secret", "emptyDir"}, path)
    if "emptyDir" in volume:
        return {"name": volume.get("name"), "emptyDir": volume["emptyDir"]}
    secret = _part(volume, "secret", path)
    _known(secret, {"secretName", "items", "defaultMode"}, f"{path}.secret")
    items = [
        {"version": each.get("key"), "path": each.get("path"), "mode": each.get("mode")}
        for _, each in _items(secret, "items", f"{path}.secret")
    ]
    source = {"secret": secret.get("secretName"), "items": items, "defaultMode": secret.get("defaultMode")}
    return {"name": volume.get("name"), "secret": source}


def _annotate(made: Json, annotations: Mapping[str, Any], path: str) -> None:
    """System annotations have a field each in the second version."""
    for name, value in annotations.items():
        short = name.removeprefix(_PREFIX)
        if value is None or value == "" or short in _IGNORED:
            continue
        if not name.startswith(_PREFIX):
            made.setdefault("annotations", {})[name] = value
        elif (put := _ANNOTATIONS.get(short)) is not None:
            put(made, str(value))
        else:
            raise InvalidInput(f"job_body.{path} has {name!r}, which is not known here; leave it out", path="job_body")


def _vpc(made: Json) -> Json:
    found: Json = made["template"]["template"].setdefault("vpcAccess", {})
    return found


def _put_environment(made: Json, value: str) -> None:
    made["template"]["template"]["executionEnvironment"] = _ENVIRONMENTS.get(value, value)


def _put_sockets(made: Json, value: str) -> None:
    task = made["template"]["template"]
    task["volumes"].append({"name": "cloudsql", "cloudSqlInstance": {"instances": value.split(",")}})
    for container in task["containers"][:1]:
        container["volumeMounts"] = [
            *(container.get("volumeMounts") or []), {"name": "cloudsql", "mountPath": "/cloudsql"}
        ]  # fmt: skip


def _put_interfaces(made: Json, value: str) -> None:
    try:
        _vpc(made)["networkInterfaces"] = json.loads(value)
    except ValueError as error:
        raise InvalidInput(f"job_body: network-interfaces is {value!r}: {error}", path="job_body") from error


_ANNOTATIONS: Mapping[str, Callable[[Json, str], Any]] = {
    "launch-stage": lambda made, value: made.update(launchStage=value),
    "vpc-access-connector": lambda made, value: _vpc(made).update(connector=value),
    "vpc-access-egress": lambda made, value: _vpc(made).update(egress=_EGRESS.get(value, value)),
    "network-interfaces": _put_interfaces,
    "cloudsql-instances": _put_sockets,
    "execution-environment": _put_environment,
}


def _part(whole: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
    part = whole.get(key) or {}
    if not isinstance(part, Mapping):
        where = f"job_body.{path}.{key}".replace("..", ".")
        raise InvalidInput(f"{where} is {part!r}: write an object", path=where)
    return part


def _items(whole: Mapping[str, Any], key: str, path: str) -> list[tuple[int, Mapping[str, Any]]]:
    items = whole.get(key) or []
    if not isinstance(items, list) or not all(isinstance(each, Mapping) for each in items):
        where = f"job_body.{path}.{key}"
        raise InvalidInput(f"{where} is {items!r}: write a list of objects", path=where)
    return list(enumerate(items))


def _known(whole: Mapping[str, Any], keys: set[str] | frozenset[str], path: str) -> None:
    for key, value in whole.items():
        if key not in keys and value is not None:
            where = f"job_body.{path}.{key}".replace("..", ".")
            raise InvalidInput(
                f"{where} is not known here; leave it out, or use a template of cloud-run-v2:push", path=where
            )
