"""Whose a job is, as labels that Google takes. Pure.

Keys and values have at most 63 characters: lowercase letters, digits, underscores and dashes; a key begins with a
letter; 64 of them (Cloud Run documentation, "Configure labels for jobs").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

MOST = 64
OURS = "managed-by"
_MANAGER = "pushpool"
_POOL, _RUN, _ATTEMPT, _SUBMISSION = "pushpool-pool", "pushpool-run", "pushpool-attempt", "pushpool-submission"
SUBMISSION = "PUSHPOOL_SUBMISSION"  # by it, run and attempt a shared job's executions are told apart
_RESERVED = "pushpool-"  # a given one could claim to be of another run
_ILLEGAL = re.compile(r"[^a-z0-9_-]")
_RUN_ID, _NUMBER = re.compile(r"[A-Za-z0-9_-]{1,63}"), re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose an execution is."""

    run_id: str
    attempt: int
    submit_seq: int | None = None


def labels_of(given: Mapping[str, Any], job: Job, *, shared: bool) -> dict[str, str]:
    """The given ones, made legal, and ours, which cannot be overridden; of a shared job nothing of one run.

    :raises InvalidInput: too many, or one without a name.
    """
    labels = {_key(str(key)): legal(str(value)) for key, value in given.items() if value is not None}
    labels = {key: value for key, value in labels.items() if not key.startswith(_RESERVED)}
    ours = {OURS: _MANAGER, _POOL: legal(job.pool)}
    if not shared:
        ours |= {
            "pushpool-deployment": legal(job.deployment),
            _RUN: legal(job.run_id),
            _ATTEMPT: str(job.attempt),
            _SUBMISSION: str(job.submit_seq),
        }
    labels |= ours
    if len(labels) > MOST:
        raise InvalidInput(
            f"labels has {len(given)} entries, and a job takes {MOST - len(ours)} besides ours", path="labels"
        )
    return dict(sorted(labels.items()))


def is_ours(labels: object) -> bool:
    return isinstance(labels, Mapping) and labels.get(OURS) == _MANAGER


def origin(labels: Mapping[str, Any]) -> Origin | None:
    """None: they name no run."""
    return origin_of(labels.get(_RUN), labels.get(_ATTEMPT), labels.get(_SUBMISSION))


def origin_of(run_id: object, attempt: object, submit_seq: object) -> Origin | None:
    """Of what labels or an environment say; None: that is no attempt of ours."""
    if not _RUN_ID.fullmatch(str(run_id or "")) or not _NUMBER.fullmatch(str(attempt or "")):
        return None
    told = str(submit_seq or "")
    return Origin(str(run_id), int(str(attempt)), int(told) if _NUMBER.fullmatch(told) else None)


def legal(text: str) -> str:
    """As a label's value."""
    return _ILLEGAL.sub("-", text.lower())[:63]


def _key(key: str) -> str:
    found = legal(key).lstrip("-_0123456789")
    if not found:
        raise InvalidInput(f"labels has the name {key!r}: it has to have a letter", path="labels")
    return found
