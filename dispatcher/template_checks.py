"""Whether a base job template can be used, and is as its author meant it; asked when a pool is registered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dispatcher import json_schema
from dispatcher.errors import InvalidInput, TemplateError, TooLarge
from dispatcher.job_variables import defaults, named_secrets, properties, refuse_blocks, secret, strings
from dispatcher.json_schema import Path, path_text
from dispatcher.templating import Placeholder, PlaceholderKind, find_placeholders

MAX_BYTES = 64 * 1024

_PARTS = ("job_configuration", "variables", "strict")


def check_template(template: Mapping[str, Any], *, pool_type: str) -> None:
    """:raises InvalidInput: it cannot be used, or not as meant, or is over 64 KiB; `path` says where."""
    _check_size(template, pool_type)
    _check_parts(template, pool_type)
    refuse_blocks(template["job_configuration"], ("job_configuration",))
    for name, default in defaults(template).items():
        refuse_blocks(default, ("variables", "properties", name, "default"))
    _check_variables(template)
    _check_placeholders(template)
    _check_defaults(template)


def is_block(schema: Any, variables: Mapping[str, Any]) -> bool:
    """Whether a variable takes a Prefect block and nothing else, null excepted."""
    if not isinstance(schema, Mapping):
        return False
    if _names_block(schema, variables) or any(_names_block(part, variables) for part in schema.get("allOf", ())):
        return True
    alternatives = [a for word in ("anyOf", "oneOf") for a in schema.get(word, ()) if a != {"type": "null"}]
    return bool(alternatives) and all(_names_block(a, variables) for a in alternatives)


def _names_block(schema: Mapping[str, Any], variables: Mapping[str, Any]) -> bool:
    """It is a block's schema, or refers to one: `#/definitions/Name`, `#/$defs/Name`."""
    match str(schema.get("$ref")).split("/"):
        case ["#", ("definitions" | "$defs") as place, name]:
            return "block_type_slug" in variables.get(place, {}).get(name, {})
        case _:
            return "block_type_slug" in schema


def _check_size(template: Mapping[str, Any], pool_type: str) -> None:
    text = json.dumps(json_schema.plain(template), ensure_ascii=False)
    size = len(text.encode())
    if size > MAX_BYTES:
        raise TooLarge(f"the {pool_type} template has {size} bytes; {MAX_BYTES} is the most")


def _check_parts(template: Mapping[str, Any], pool_type: str) -> None:
    for name in template:
        if name not in _PARTS:
            raise TemplateError(f"the {pool_type} template has {name!r}; it takes {', '.join(_PARTS)}", path=name)
    for name in ("job_configuration", "variables"):
        if not isinstance(template.get(name), Mapping):
            way_out = f"give an object, as `pushpool template show {pool_type}` has it"
            raise TemplateError(f"the {pool_type} template has no {name!r}; {way_out}", path=name)
    if not template["job_configuration"]:
        raise TemplateError(f"the {pool_type} template's job_configuration is empty", path="job_configuration")
    if not isinstance(template.get("strict", False), bool):
        raise TemplateError(f"strict is {template['strict']!r}; it must be true or false", path="strict")


def _check_variables(template: Mapping[str, Any]) -> None:
    variables = template["variables"]
    try:
        json_schema.check_schema(variables, what="variables")
    except InvalidInput as exc:
        raise TemplateError(str(exc), path=f"variables.{exc.path}".strip(".")) from exc
    for name, schema in properties(template).items():
        path: Path = ("variables", "properties", name)
        if is_block(schema, variables):
            where = path_text(path)
            way_out = "the pool has credentials of its own; `pushpool template import` takes it out"
            raise TemplateError(f"{where} takes a Prefect block, and pushpool has none; {way_out}", path=where)
        _check_marks(schema, path, is_variable=True)


def _check_marks(schema: Any, path: Path, *, is_variable: bool = False) -> None:
    """Marks are heeded on a whole variable, and if they are true; anywhere else they would only seem to be."""
    if isinstance(schema, list):
        for n, part in enumerate(schema):
            _check_marks(part, (*path, n))
    if not isinstance(schema, Mapping):
        return
    for mark in ("x-locked", "x-admin", "x-secret"):
        if not isinstance(schema.get(mark, False), bool):
            raise _bad_mark(path, mark, f"it is {schema[mark]!r}; make it true or false")
        if mark in schema and not is_variable:
            raise _bad_mark(path, mark, "it marks a part; mark the whole variable, or make the part a variable")
    for key, part in schema.items():
        _check_marks(part, (*path, key))


def _bad_mark(path: Path, mark: str, why: str) -> TemplateError:
    where = path_text((*path, mark))
    return TemplateError(f"{where}: {why}", path=where)


def _check_placeholders(template: Mapping[str, Any]) -> None:
    """As in Prefect, each names a variable; a path into one, or a name of the environment, does not."""
    default_env = defaults(template).get("env")
    for path, text in (
        *strings(template["job_configuration"], ("job_configuration",)),
        *strings(default_env, ("variables", "properties", "env", "default")),
    ):
        for placeholder in find_placeholders(text):
            if placeholder.name not in properties(template):
                raise _undeclared(placeholder, path, template)
            if placeholder.name in named_secrets(template) and placeholder.text != text:
                raise _embedded(placeholder, path)


def _embedded(placeholder: Placeholder, path: Path) -> TemplateError:
    where = path_text(path)
    way_out = "let it stand alone, and put the text into the secret"
    return TemplateError(f"{where}: {placeholder.text} is secret and amid other text; {way_out}", path=where)


def _undeclared(placeholder: Placeholder, path: Path, template: Mapping[str, Any]) -> TemplateError:
    where = path_text(path)
    if placeholder.kind is PlaceholderKind.ENVIRONMENT:
        why = "is of the dispatcher's environment, which no job may read; make it a variable"
    else:
        hint = json_schema.likely(placeholder.name, template["variables"])
        why = f"is not declared under variables.properties{hint}"
    return TemplateError(f"{where}: {placeholder.text} {why}", path=where)


def _check_defaults(template: Mapping[str, Any]) -> None:
    variables = template["variables"]
    schema = {part: variables[part] for part in ("properties", "definitions", "$defs") if part in variables}
    reading = json_schema.Reading(secrets=secret(template))
    for name, default in defaults(template).items():
        problem = json_schema.first_problem(schema, {name: default}, reading)
        if problem is not None:
            where = path_text(("variables", "properties", name, "default", *problem.path[1:]))
            raise TemplateError(f"{where}: {problem.reason}", path=where)
