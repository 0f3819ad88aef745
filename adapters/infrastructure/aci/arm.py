"""The container group of an ARM template, as Prefect's skeleton has it, for a PUT of its own. Pure.

Nothing evaluates the template's expressions: name and location are ours, a parameter with a plain default is its
default, and any other is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dispatcher.errors import InvalidInput

KIND = "Microsoft.ContainerInstance/containerGroups"
PATH = "arm_template.resources[0]"

_EXPRESSION = re.compile(r"\[\s*[A-Za-z][\w.]*\s*\(.*\].*", re.DOTALL)  # `[[` begins a plain text
_PARAMETER = re.compile(r"\[\s*parameters\(\s*'(?P<name>[^']+)'\s*\)\s*\]")
_OURS = ("apiVersion", "comments", "name", "type")
_PLAIN = "command"  # its words are no expressions, whatever they look like

Json = dict[str, Any]


def group_of(template: object) -> Json:
    """The resource without what is ours to set, nulls taken out; its location "" where an expression stands.

    :raises InvalidInput: there is none, or more than one; or an expression is left.
    """
    given = template or {}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"arm_template is {given!r}: write an object", path="arm_template")
    resource = _only(given.get("resources"))
    parameters = given.get("parameters")
    plain = _plain_defaults(parameters if isinstance(parameters, Mapping) else {})
    group: Json = {key: _filled(value, plain) for key, value in resource.items() if value is not None}
    for key in _OURS:
        group.pop(key, None)
    if _is_expression(group.get("location")):
        group.pop("location")
    _refuse_expressions(group, PATH)
    _refuse_deployment(group)
    return group


def _only(resources: object) -> Mapping[str, Any]:
    if resources is None:
        return {}
    path = "arm_template.resources"
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], Mapping):
        count = len(resources) if isinstance(resources, list) else repr(resources)
        raise InvalidInput(
            f"{path} has {count}, and a run is one container group; make the others with Terraform, and name them here",
            path=path,
        )
    kind = resources[0].get("type") or KIND
    if str(kind).lower() != KIND.lower():
        raise InvalidInput(f"{PATH}.type is {kind!r}: a run is a {KIND}", path=f"{PATH}.type")
    found: Mapping[str, Any] = resources[0]
    return found


def _plain_defaults(parameters: Mapping[str, Any]) -> Json:
    found = {name: each.get("defaultValue") for name, each in parameters.items() if isinstance(each, Mapping)}
    return {name: value for name, value in found.items() if value is not None and not _is_expression(value)}


def _filled(value: Any, defaults: Json) -> Any:
    """With plain defaults in place of their parameters, and without nulls."""
    if isinstance(value, Mapping):
        return {key: _filled(part, defaults) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_filled(part, defaults) for part in value if part is not None]
    named = _PARAMETER.fullmatch(value) if isinstance(value, str) else None
    return defaults.get(named["name"], value) if named else value


def _is_expression(value: object) -> bool:
    return isinstance(value, str) and _EXPRESSION.fullmatch(value) is not None


def _refuse_expressions(value: Any, path: str) -> None:
    """Everywhere but in a command, and in the names of containers, of which the first is ours."""
    if _is_expression(value) and path != f"{PATH}.properties.containers[0].name":
        raise InvalidInput(
            f"{path} is {value!r}, and expressions are not evaluated here; write the value itself, or make it a "
            "variable of the template",
            path=path,
        )
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key != _PLAIN:
                _refuse_expressions(part, f"{path}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            _refuse_expressions(part, f"{path}[{number}]")


def _refuse_deployment(group: Json) -> None:
    """What only a deployment heeds."""
    for key in ("condition", "copy", "dependsOn", "resources", "scope"):
        if group.pop(key, None):
            raise InvalidInput(
                f"{PATH}.{key} is set, and the container group is made without a deployment; leave it out",
                path=f"{PATH}.{key}",
            )
