"""A job's configuration, in the skeleton of Prefect's `modal:push` template, as one request. Pure.

Its body is what Sandbox.create is told, with everything that is not plain JSON by its name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from adapters.commands import RESERVED, command_of, env_of, has_runner, pruned, refuse_marks
from adapters.infrastructure.modal import places
from adapters.infrastructure.modal.registries import image_of
from adapters.infrastructure.modal.sizes import cpu_of, gpu_of, memory_of, timeout_of
from dispatcher.errors import InvalidInput, TooLarge
from dispatcher.ports import Job, Request

ALLOWLISTS = ("outbound_cidr_allowlist", "outbound_domain_allowlist")
LONGEST_COMMAND = 2**16  # characters (client, `ARG_MAX_BYTES`)

_MAY_BE_SECRET = re.compile(r"^env\.")
_WAY_OUT = "put it into env, or name a secret of Modal in secrets"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # client, `_validate_sandbox_env`
_WORD = re.compile(r"[A-Za-z0-9-]+")

Json = dict[str, Any]


def request_of(job: Job) -> Request:
    """:raises InvalidInput: the configuration cannot be made into a request."""
    configuration = job.configuration
    for key, value in configuration.items():
        refuse_marks(value, key, allowed=_MAY_BE_SECRET, way_out=_WAY_OUT)
    argv = _command(configuration)
    under_runner = has_runner(argv, configuration.get("runner"))
    gpu = gpu_of(configuration.get("gpu"))
    body = {
        "name": places.sandbox_name(job.run_id, job.attempt, job.submit_seq),
        "command": argv,
        "image": image_of(configuration),
        "env": _env(job),
        "secrets": _names(configuration.get("secrets"), "secrets"),
        "volumes": _volumes(configuration.get("volumes")),
        "timeout": timeout_of(job.timeout_seconds, configuration.get("timeout")),
        "cpu": cpu_of(configuration),
        "memory": memory_of(configuration),
        "gpu": gpu,
        "region": _regions(configuration.get("region")),
        "cloud": _word(configuration.get("cloud"), "cloud"),
        "identity_token": bool(configuration.get("identity_token")) or None,
        "tags": places.tags_of(job),
    }
    kept = {"command": argv, "env": body["env"]}  # an empty value is one, and an empty list lets nothing through
    if network := _network(configuration, under_runner=under_runner):
        kept["network"] = network
    return Request(places.target_of(configuration, gpu=gpu is not None), {**pruned(body), **kept})


def _command(configuration: Mapping[str, Any]) -> list[str]:
    """Under the runner; the image's own if there is neither command nor runner."""
    command, runner = configuration.get("command"), configuration.get("runner")
    argv = command_of(command, runner) if command or runner is not False else []
    size = sum(map(len, argv))
    if size > LONGEST_COMMAND:
        what = f"command has {size} characters, and Modal takes {LONGEST_COMMAND}"
        raise TooLarge(f"{what}; put what is long into the image, a volume or env", path="command")
    return argv


def _env(job: Job) -> Json:
    """Names and values: the job's `env`, ours over all. What is None is left out."""
    given = env_of(job.configuration.get("env"))
    merged = {name: value for name, value in given.items() if not name.startswith(RESERVED)} | dict(job.environment)
    for name in merged:
        if not _VARIABLE.fullmatch(name):
            what = f"env names {name!r}, and Modal takes letters, digits and `_`, none of the digits first"
            raise InvalidInput(f"{what}; rename it", path="env")
    return {name: value for name, value in sorted(merged.items()) if value is not None}


def _names(names: object, path: str) -> list[str]:
    if not names:
        return []
    if not isinstance(names, list):
        raise InvalidInput(f"{path} is {names!r}: write a list of names", path=path)
    return [places.checked_name(name, path) for name in names]


def _volumes(volumes: object) -> dict[str, str]:
    """Where each is mounted → its name; each once (client, `validate_volumes`)."""
    if not volumes:
        return {}
    if not isinstance(volumes, Mapping):
        raise InvalidInput(f"volumes is {volumes!r}: write paths and names of volumes", path="volumes")
    found: dict[str, str] = {}
    for path, name in sorted(volumes.items()):
        where = posixpath.normpath(str(path))
        if not where.startswith("/") or where in ("/", "/root", "/tmp"):  # noqa: S108 - Modal refuses it
            raise InvalidInput(
                f"volumes names {path!r}: write an absolute path, and none of /, /root, /tmp", path="volumes"
            )
        if name in found.values():
            raise InvalidInput(f"volumes has {name!r} at two paths, and Modal mounts it at one", path="volumes")
        found[where] = places.checked_name(name, f"volumes.{path}")
    return found


def _regions(regions: object) -> list[str]:
    given = [regions] if isinstance(regions, str) else regions
    if not given:
        return []
    if not isinstance(given, list):
        raise InvalidInput(f"region is {regions!r}: write one of Modal's, as in us-east, or a list", path="region")
    return [str(_word(region, "region")) for region in given]


def _word(value: object, path: str) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    raise InvalidInput(f"{path} is {value!r}: write letters, digits and `-`", path=path)


def _network(configuration: Mapping[str, Any], *, under_runner: bool) -> Json:
    """What the container may reach; anything if nothing is said. An empty list lets nothing through."""
    given = {key: configuration[key] for key in ALLOWLISTS if configuration.get(key) is not None}
    for key, entries in given.items():
        if not isinstance(entries, list) or not all(isinstance(each, str) for each in entries):
            raise InvalidInput(f"{key} is {entries!r}: write a list", path=key)
    is_blocked = bool(configuration.get("block_network"))
    if is_blocked and given:
        raise InvalidInput(
            f"block_network is set, and {' and '.join(given)} given; leave one out", path="block_network"
        )
    is_deaf = is_blocked or (given and not any(given.values()))
    if is_deaf and under_runner and not configuration.get("start_without_claim"):
        raise InvalidInput(
            "block_network is set, or an allowlist is empty, and the runner would not reach the API to claim its run; "
            "set runner to false, or name the API's host in outbound_domain_allowlist",
            path="block_network",
        )
    return {"block_network": True} if is_blocked else given
