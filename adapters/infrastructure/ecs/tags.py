"""Labels as tags that ECS takes. Pure.

At most 50, keys of 128 and values of 256 characters, none that begins with `aws:` (API RunTask, `tags`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

MOST = 50
_ILLEGAL = re.compile(r"[^\w +\-=.:/@]")
_RESERVED = re.compile(r"aws:", re.IGNORECASE)


def tags_of(labels: Mapping[str, object], job: Job) -> list[dict[str, str]]:
    """The labels, made legal, and ours, which are last and cannot be overridden.

    :raises InvalidInput: too many, or one without a name.
    """
    named = {"Name": job.run_name, **labels}
    ours = {"pushpool:pool": job.pool, "pushpool:deployment": job.deployment, "pushpool:run": job.run_id}
    tags = {_key(key): _text(str(value))[:256] for key, value in named.items() if value is not None}
    tags |= {key: _text(value)[:256] for key, value in ours.items()}
    if len(tags) > MOST:
        most = MOST - len(ours) - 1
        raise InvalidInput(f"labels has {len(labels)} entries, and a task takes {most} besides ours", path="labels")
    return [{"key": key, "value": value} for key, value in tags.items()]


def _key(key: str) -> str:
    legal = _text(key)[:128]
    if not legal:
        raise InvalidInput("labels has an entry without a name; give it one, or leave it out", path="labels")
    return _RESERVED.sub("aws-", legal, count=1) if _RESERVED.match(legal) else legal


def _text(text: str) -> str:
    return _ILLEGAL.sub("-", text).strip()
