r"""Whose a container group is, as tags that Azure takes. Pure.

50 of them; a name has at most 512 characters and none of `<>%&\?/`, a value 256; names differ by more than their case,
and do not begin with microsoft, azure or windows ("Use tags to organize your Azure resources").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

MOST = 50
_RESERVED = "pushpool-"  # a given one could claim to be of another run
_ILLEGAL = re.compile(r"[<>%&\\?/\x00-\x1f]")
_AZURES_OWN = re.compile(r"microsoft|azure|windows", re.IGNORECASE)


def tags_of(job: Job, nested: object) -> dict[str, str]:
    """The template's and the given labels, made legal, and ours, which cannot be overridden. :raises InvalidInput:"""
    given = {
        **_mapping(nested, "arm_template.resources[0].tags"),
        **_mapping(job.configuration.get("labels"), "labels"),
    }
    tags: dict[str, str] = {}
    for key, value in given.items():
        name = _name(str(key))
        if value is not None and not name.lower().startswith(_RESERVED):
            tags = {other: kept for other, kept in tags.items() if other.lower() != name.lower()}
            tags[name] = str(value)[:256]
    ours = {
        "pushpool-pool": job.pool[:256],
        "pushpool-deployment": job.deployment[:256],
        "pushpool-run": job.run_id,
        "pushpool-attempt": str(job.attempt),
        "pushpool-submission": str(job.submit_seq),
    }
    if len(tags) + len(ours) > MOST:
        most = MOST - len(ours)
        raise InvalidInput(f"labels has {len(tags)} entries, and Azure takes {most} besides ours", path="labels")
    return dict(sorted((tags | ours).items()))


def _mapping(given: object, path: str) -> Mapping[str, Any]:
    if not isinstance(given or {}, Mapping):
        raise InvalidInput(f"{path} is {given!r}: write names and values", path=path)
    found: Any = given or {}
    return found if isinstance(found, Mapping) else {}


def _name(key: str) -> str:
    name = _ILLEGAL.sub("-", key)[:512]
    return f"x-{name}"[:512] if _AZURES_OWN.match(name) or not name else name
