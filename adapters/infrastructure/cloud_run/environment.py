"""What containers are told: in the clear, and out of Secret Manager, as variables and as files. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from adapters.commands import RESERVED, env_of
from dispatcher.errors import InvalidInput, TooLarge
from dispatcher.ports import Job

LONGEST_VALUE = 32768  # bytes (API EnvVar, `value`)
MOST_VARIABLES = 1000  # documentation, "Cloud Run quotas and limits"
_OF_PREFECT = {
    "prefect_api_key_secret": "PREFECT_API_KEY",
    "prefect_api_auth_string_secret": "PREFECT_API_AUTH_STRING",
}
_SECRET = re.compile(r"(projects/[^/]+/secrets/)?[A-Za-z0-9_-]{1,255}")
_VERSION = re.compile(r"latest|[0-9]+|[A-Za-z][A-Za-z0-9_-]*")

Json = dict[str, Any]


def clear_values(job: Job, nested: object) -> Json:
    """Names and values: the container's own, the job's `env` over them, ours over all. What is None is left out.

    :raises InvalidInput: :raises TooLarge:
    """
    env = env_of(job.configuration.get("env"))
    merged = {**_clear(nested), **env}
    merged = {name: value for name, value in merged.items() if not name.startswith(RESERVED)} | dict(job.environment)
    for name, value in merged.items():
        if isinstance(value, str) and len(name) + len(value.encode()) > LONGEST_VALUE:
            size = len(value.encode())
            way_out = "put what is long into the image, a bucket or a secret"
            raise TooLarge(f"env.{name} has {size} bytes, and Cloud Run takes {LONGEST_VALUE}; {way_out}", path="env")
    if len(merged) > MOST_VARIABLES:
        raise InvalidInput(f"env has {len(merged)} variables, and Cloud Run takes {MOST_VARIABLES}", path="env")
    return {name: value for name, value in merged.items() if value is not None}


def secret_variables(job: Job, nested: object, clear: Mapping[str, Any]) -> Json:
    """Name → where in Secret Manager its value is; without those that are given in the clear.

    :raises InvalidInput: one of them names no secret.
    """
    configuration, found = job.configuration, _references(nested)
    given = configuration.get("env_from_secrets") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"env_from_secrets is {given!r}: write names and secrets", path="env_from_secrets")
    wanted = {**given, **{name: configuration.get(key) for key, name in _OF_PREFECT.items()}}
    for name, secret in wanted.items():
        if secret:
            found[str(name)] = reference(secret, f"env_from_secrets.{name}")
    taken_away = {name for name, value in env_of(configuration.get("env")).items() if value is None}
    return {
        name: secret
        for name, secret in found.items()
        if name not in clear and name not in taken_away and not name.startswith(RESERVED)
    }


def pairs_of(clear: Mapping[str, Any], secret: Mapping[str, Any]) -> list[Json]:
    """As the API takes them (EnvVar), in one order whatever order they came in."""
    made: list[Json] = [{"name": name, "value": value} for name, value in clear.items()]
    made += [{"name": name, "valueSource": {"secretKeyRef": value}} for name, value in secret.items()]
    return sorted(made, key=lambda pair: str(pair["name"]))


def reference(secret: object, path: str) -> Json:
    """A secret by its name, or by name and version; the latest if none is given. :raises InvalidInput:"""
    given = {"secret": secret} if isinstance(secret, str) else secret
    if isinstance(given, Mapping) and set(given) <= {"secret", "version"}:
        name, version = str(given.get("secret") or ""), str(given.get("version") or "latest")
        if _SECRET.fullmatch(name) and _VERSION.fullmatch(version):
            return {"secret": name, "version": version}
    raise InvalidInput(
        f'{path} is {secret!r}: write {{"secret": NAME, "version": "latest"}}, NAME being of Secret Manager', path=path
    )


def files_of(files: object) -> tuple[list[Json], list[Json]]:
    """Volumes and mounts for `secret_files`: a file's path → its secret.

    :raises InvalidInput: a folder would hold several secrets, which Cloud Run cannot do.
    """
    if not files:
        return [], []
    if not isinstance(files, Mapping):
        raise InvalidInput(f"secret_files is {files!r}: write paths and secrets", path="secret_files")
    folders: dict[str, Json] = {}
    for path, secret in sorted(files.items()):
        folder, name = posixpath.split(str(path))
        if not folder.startswith("/") or folder == "/" or not name or ":" in folder:
            raise InvalidInput(
                f"secret_files names {path!r}: write an absolute path in a folder of its own", path="secret_files"
            )
        if folder in folders:
            raise InvalidInput(
                f"secret_files has two files in {folder}, and Cloud Run mounts one secret in a folder; use two",
                path="secret_files",
            )
        found = reference(secret, f"secret_files.{path}")
        folders[folder] = {"secret": found["secret"], "items": [{"path": name, "version": found["version"]}]}
    volumes = [{"name": _volume(folder), "secret": source} for folder, source in folders.items()]
    return volumes, [{"name": _volume(folder), "mountPath": folder} for folder in folders]


def sockets_of(instances: object) -> tuple[list[Json], list[Json]]:
    """Volumes and mounts for Cloud SQL's sockets, at /cloudsql. :raises InvalidInput:"""
    if not instances:
        return [], []
    if not isinstance(instances, list) or not all(str(each).count(":") >= 2 for each in instances):
        raise InvalidInput(
            f"cloudsql_instances is {instances!r}: write connection names, as in PROJECT:REGION:INSTANCE",
            path="cloudsql_instances",
        )
    volume = {"name": "cloudsql", "cloudSqlInstance": {"instances": [str(each) for each in instances]}}
    return [volume], [{"name": "cloudsql", "mountPath": "/cloudsql"}]


def _clear(nested: object) -> Json:
    if isinstance(nested, list):
        nested = [pair for pair in nested if not (isinstance(pair, Mapping) and "valueSource" in pair)]
    return env_of(nested, "job_body.env")


def _references(nested: object) -> Json:
    found = {}
    for pair in nested if isinstance(nested, list) else []:
        if isinstance(pair, Mapping) and "valueSource" in pair:
            source = pair["valueSource"]
            secret = source.get("secretKeyRef") if isinstance(source, Mapping) else None
            found[str(pair.get("name"))] = reference(secret, f"job_body.env.{pair.get('name')}")
    return found


def _volume(folder: str) -> str:
    return f"secret-{hashlib.sha256(folder.encode()).hexdigest()[:12]}"
