"""A job's configuration as a request, and a request as what is executed here."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.commands import RESERVED, RUNNER, env_of, words_of
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

GRACE_SECONDS = 10.0
MARK = "PUSHPOOL_ATTEMPT_FOLDER"  # in the environment of all that belongs to an attempt
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CannotStartError(Exception):
    """What the request names is not on this machine."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command with everything resolved to this machine."""

    argv: tuple[str, ...]
    cwd: str | None
    environment: Mapping[str, str]


def body_of(job: Job) -> dict[str, Any]:
    """The request's body. It names no path of this machine: a repeat may come from another installation.

    :raises InvalidInput: the configuration cannot be made into a request.
    """
    configuration = job.configuration
    argv = _argv(configuration.get("command"))
    wrapped = argv[0] == RUNNER
    if not wrapped and configuration.get("runner", True):
        argv = [RUNNER, "--", *argv]
    working_dir = configuration.get("working_dir")
    if working_dir is not None and not isinstance(working_dir, str):
        raise InvalidInput(f"working_dir is {working_dir!r}: write a path or nothing", path="working_dir")
    return {
        "argv": argv,
        "cwd": working_dir or None,
        "env": {**_environment(configuration.get("env")), **job.environment},
        "grace_seconds": _seconds(configuration.get("grace_seconds")),
        "name": str(configuration.get("name") or job.run_name),
        "labels": dict(configuration.get("labels") or {}),
    }


def _argv(command: object) -> list[str]:
    argv = words_of(command)
    if not argv or not argv[0]:
        raise InvalidInput(
            "command is empty: give the deployment a command or an entrypoint, "
            "or the pool a default for the variable `command`",
            path="command",
        )
    return argv


def _environment(env: object) -> dict[str, Any]:
    """Without what is None, by which an override takes a variable away, and without names of ours."""
    given = env_of(env).items()
    found = {name: value for name, value in given if value is not None and not name.startswith(RESERVED)}
    for name in found:
        if not _NAME.fullmatch(name):
            # The shell that starts the command drops any other name without a word.
            raise InvalidInput(f"env names {name!r}: here a name is made of letters, digits and _", path="env")
    return found


def _seconds(grace: object) -> float:
    if grace is None:
        return GRACE_SECONDS
    if isinstance(grace, (int, float)) and not isinstance(grace, bool) and 0 <= grace < 2**31:
        return float(grace)
    raise InvalidInput(f"grace_seconds is {grace!r}: write 0 or more seconds", path="grace_seconds")


def launch(body: Mapping[str, Any], extra: Mapping[str, str]) -> Launch:
    """The request on this machine; `extra` is set last, and no setting of the dispatcher's is handed on.

    :raises CannotStartError: the folder or the command does not exist here.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(RESERVED)}
    environment = {**inherited, **body["env"], **extra}
    cwd = str(Path(body["cwd"]).expanduser()) if body["cwd"] else None
    if cwd is not None and not Path(cwd).is_dir():
        raise CannotStartError(f"working_dir {cwd} is no folder on this machine")
    argv = list(body["argv"])
    if argv[0] != RUNNER:
        return Launch((_located(argv[0], cwd, environment), *argv[1:]), cwd, environment)
    if argv[1:2] == ["--"]:
        argv[2:3] = [_located(word, cwd, environment) for word in argv[2:3]]
    return Launch((sys.executable, runner_file(), *argv[1:]), cwd, environment)


def runner_file() -> str:
    spec = importlib.util.find_spec("dispatcher.runner")
    if spec is None or spec.origin is None:
        raise CannotStartError("dispatcher/runner.py is not installed")
    return spec.origin


def _located(command: str, cwd: str | None, environment: Mapping[str, str]) -> str:
    """The file that `command` means; always a path, so that the shell takes it for no builtin of its own."""
    if "/" in command:
        path = Path(cwd or "") / Path(command).expanduser()
        found = str(path.absolute()) if os.access(path, os.X_OK) and path.is_file() else None
    else:
        found = shutil.which(command, path=environment.get("PATH", os.defpath))
    if found is None:
        raise CannotStartError(f"{command}: no such command on this machine (shell syntax needs sh -c '…')")
    return str(Path(found).absolute())
