"""Secret job variables read `********` wherever they are shown; what is sent back as it was shown stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher.errors import InvalidInput
from dispatcher.job_templates import REDACTED
from dispatcher.job_variables import properties, secret


def redacted_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template without the defaults of secret variables."""
    secrets = secret(template)
    if not secrets:
        return dict(template)
    declared = properties(template)
    masked = {name: _without_defaults(declared[name]) for name in secrets}
    return {**template, "variables": {**template["variables"], "properties": {**declared, **masked}}}


def _without_defaults(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_defaults(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: REDACTED if key == "default" and part is not None else _without_defaults(part)
        for key, part in schema.items()
    }


def concealed(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The names alone, for when nobody can tell any more which of them are secret."""
    return dict.fromkeys(variables, REDACTED)


def restored(sent: Any, shown: Any, kept: Any, *, path: str) -> Any:
    """`sent`, with `kept` wherever it repeats the stars that were shown for it.

    :raises InvalidInput: stars that stand for nothing.
    """
    if sent == REDACTED:
        if shown != REDACTED:
            raise InvalidInput(f"{path} is {REDACTED}, which stands for a secret; send the value", path=path)
        return kept
    if isinstance(sent, dict):
        shown, kept = (each if isinstance(each, Mapping) else {} for each in (shown, kept))
        return {
            key: restored(value, shown.get(key), kept.get(key), path=f"{path}.{key}") for key, value in sent.items()
        }
    return sent
