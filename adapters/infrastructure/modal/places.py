"""Where sandboxes run and what they are called there: apps, environments, names, tags, handles and links."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from adapters.names import submission_name
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job
from dispatcher.runs import Target

TYPE = "modal:push"
DEFAULT_APP = "pushpool"
# A sandbox with a GPU is of another kind, which has to be looked for in another way: its target's group ends with this.
GPU = "/gpu"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_APP_ID = re.compile(r"ap-[A-Za-z0-9]{22}")
_ENVIRONMENT = re.compile(r"(?!en-)[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.IGNORECASE)
_ILLEGAL = re.compile(r"[^A-Za-z0-9._-]")


def target_of(configuration: Mapping[str, Any], *, gpu: bool) -> Target:
    """Modal knows the workspace by the token, so no account is named. The region is Modal's environment.

    :raises InvalidInput: app or environment cannot be called that.
    """
    app = checked_name(configuration.get("app") or DEFAULT_APP, "app")
    environment = str(configuration.get("environment") or os.environ.get("MODAL_ENVIRONMENT", ""))
    if environment and not _ENVIRONMENT.fullmatch(environment):
        raise InvalidInput(
            f"environment is {environment!r}: write the name of one of Modal's, as in `main`", path="environment"
        )
    return Target(TYPE, region=environment, group=app + (GPU if gpu else ""))


def app_of(target: Target) -> str:
    return target.group.removesuffix(GPU)


def has_gpu(target: Target) -> bool:
    return target.group.endswith(GPU)


def checked_name(name: object, path: str) -> str:
    """As Modal takes the names of apps, secrets and volumes. :raises InvalidInput:"""
    if isinstance(name, str) and _NAME.fullmatch(name) and not _APP_ID.fullmatch(name):
        return name
    rules = "1 to 64 letters, digits, `.`, `_` and `-`"
    raise InvalidInput(f"{path} is {name!r}: write a name of {rules}, and no id", path=path)


def sandbox_name(run_id: str, attempt: int, submit_seq: int) -> str:
    """Of one submission's sandbox; 64 characters at the most, as Modal wants it."""
    return submission_name(run_id, attempt, submit_seq)


def tags_of(job: Job) -> dict[str, str]:
    """Whose a sandbox is: keys and values of at most 63 letters, digits, `.`, `_` and `-`."""
    return {"pushpool-pool": _legal(job.pool), **origin_of(job.run_id, job.attempt, job.submit_seq)}


def origin_of(run_id: str, attempt: int, submit_seq: int) -> dict[str, str]:
    """The tags that only one submission's sandbox has."""
    return {
        "pushpool-run": _legal(run_id),
        "pushpool-attempt": str(attempt),
        "pushpool-submission": str(submit_seq),
    }


def link(object_id: str) -> str:
    """Where Modal's dashboard shows a sandbox or an app."""
    return f"https://modal.com/id/{object_id}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("-", text)[:63]
