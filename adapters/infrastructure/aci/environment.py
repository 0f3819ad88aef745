"""What containers are told: in the clear, and as secure values, which Azure shows to nobody. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.commands import RESERVED, env_of, is_mark
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

NESTED = "arm_template.resources[0].properties.containers[0].properties.environmentVariables"
_OF_PREFECT = frozenset({"PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"})  # secure there too
_NAME = re.compile(r"[A-Za-z0-9_]{1,63}")  # "Naming conventions" of container instances
_SECRET = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")  # how a secret of the installation may be called

Json = dict[str, Any]


def variables_of(job: Job, nested: object) -> list[Json]:
    """As the API takes them, by name: the template's, the job's `env` and `secure_env` over them, ours over all.

    What is None is left out. A secret is a secure value.

    :raises InvalidInput: a name that containers cannot have, or a value that is none.
    """
    clear, secure = _nested(nested)
    for name, value in env_of(job.configuration.get("env")).items():
        secure.pop(name, None)
        clear[name] = value
    for name, value in _secure(job.configuration.get("secure_env")).items():
        clear.pop(name, None)
        secure[name] = value
    ours: Json = {name: {"value": value} for name, value in job.environment.items()}
    theirs = {name: _valued(name, value) for name, value in clear.items() if value is not None}
    theirs |= {name: {"secureValue": value} for name, value in secure.items() if value is not None}
    made = {name: value for name, value in theirs.items() if not name.startswith(RESERVED)} | ours
    for name in made:
        _check_name(name)
    return [{"name": name, **value} for name, value in sorted(made.items())]


def others_of(given: object, path: str) -> list[Json]:
    """Of a container that stands beside the main one. :raises InvalidInput:"""
    clear, secure = _nested(given, path)
    made = {name: _valued(name, value) for name, value in clear.items() if value is not None}
    made |= {name: {"secureValue": value} for name, value in secure.items()}
    return [{"name": name, **value} for name, value in sorted(made.items()) if not name.startswith(RESERVED)]


def _valued(name: str, value: Any) -> Json:
    return {"secureValue" if is_mark(value) or name in _OF_PREFECT else "value": value}


def _nested(given: object, path: str = NESTED) -> tuple[Json, Json]:
    """Those of a container in the template; a secure value there has to be a secret's name."""
    pairs = given if isinstance(given, list) else []
    secure = {}
    for pair in pairs:
        if isinstance(pair, Mapping) and "secureValue" in pair:
            name = str(pair.get("name"))
            if not is_mark(pair["secureValue"]):
                raise InvalidInput(
                    f"{path}.{name} has its secure value in the clear; name a secret of this installation in "
                    "`secure_env`, or put a variable there that is marked x-secret",
                    path=f"{path}.{name}",
                )
            secure[name] = pair["secureValue"]
    clear = [pair for pair in pairs if not (isinstance(pair, Mapping) and "secureValue" in pair)]
    return env_of(clear if isinstance(given, list) else given, path), secure


def _secure(given: object) -> Json:
    """A variable's name and the installation's secret that is its value. Never shows what is no name."""
    if not isinstance(given or {}, Mapping):
        raise InvalidInput("secure_env: write variables, and the name of a secret for each", path="secure_env")
    found: Json = {}
    for name, secret in dict(given or {}).items() if isinstance(given, Mapping) else ():
        if secret is None or is_mark(secret):
            found[str(name)] = secret
        elif isinstance(secret, str) and _SECRET.fullmatch(secret):
            found[str(name)] = {"$secret": secret}
        else:
            raise InvalidInput(
                f"secure_env.{name}: give the name of a secret of this installation, not its value",
                path=f"secure_env.{name}",
            )
    return found


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"env names {name!r}, and a container instance takes up to 63 letters, digits and underscores; rename it",
            path=f"env.{name}",
        )
