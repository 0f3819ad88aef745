"""Base job templates exported from Prefect, made ready for pushpool: without blocks, and else as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dispatcher.errors import TemplateError
from dispatcher.job_variables import root
from dispatcher.json_schema import Path, path_text, plain
from dispatcher.template_checks import is_block
from dispatcher.templating import NOT_SET, PlaceholderKind, find_placeholders

_PARTS = ("job_configuration", "variables")
_PREFECTS_OWN = (PlaceholderKind.BLOCK, PlaceholderKind.VARIABLE)

# Known by their names too, as templates of push pools do not always come with their definitions.
# `prefect_api_key_secret` and its like stay: they name a secret of the cloud, and hold none.
_CREDENTIALS = frozenset(
    {
        "aci_credentials",
        "aws_credentials",
        "azure_credentials",
        "coiled_credentials",
        "credentials",
        "gcp_credentials",
        "modal_credentials",
        "registry_credentials",
    }
)
# Takes a block that says where an image comes from, and as whom; that can be written down, but for a password.
_REGISTRY = "image_registry"


@dataclass(frozen=True, slots=True)
class ImportedTemplate:
    """A template that pushpool takes, not strict; and what was done to it, a sentence each."""

    template: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def import_prefect_template(exported: Mapping[str, Any]) -> ImportedTemplate:
    """Takes out what refers to blocks: the pool's own credentials stand in for them. All else stays as it is.

    `exported` is a base job template, or a whole work pool as `prefect work-pool inspect -o json` prints it.

    :raises TemplateError: it is neither.
    """
    source = exported.get("base_job_template", exported)
    if not isinstance(source, Mapping) or not all(isinstance(source.get(part), Mapping) for part in _PARTS):
        way_out = "export one with `prefect work-pool inspect NAME -o json`"
        raise TemplateError(f"this is no template of Prefect, which has {' and '.join(_PARTS)}; {way_out}")
    template = {part: plain(source[part]) for part in _PARTS}
    notes = [f"{name!r} was taken out: it is no part of a template" for name in source if name not in _PARTS]
    _open_registry(template["variables"], notes)
    _open_image(template["variables"], notes)
    taken_out = _take_out_variables(template["variables"], notes)
    configuration = _without(template["job_configuration"], taken_out, ("job_configuration",), notes)
    template["job_configuration"] = {} if configuration is NOT_SET else configuration
    _take_out_definitions(template["variables"], notes)
    return ImportedTemplate(template, notes)


def _open_registry(variables: dict[str, Any], notes: list[str]) -> None:
    schema = variables.get("properties", {}).get(_REGISTRY)
    if isinstance(schema, dict) and is_block(schema, variables):
        told = {key: schema[key] for key in ("title", "description") if key in schema}
        variables["properties"][_REGISTRY] = {**told, "type": "object"}
        way_out = 'write {"registry_url": …, "identity": …} into the pool\'s variables'
        notes.append(f"variable {_REGISTRY!r} took a Prefect block; {way_out}")


def _open_image(variables: dict[str, Any], notes: list[str]) -> None:
    """Modal's is one of several objects, and a deployment's `image` is a string."""
    schema = variables.get("properties", {}).get("image")
    alternatives = schema.get("anyOf") if isinstance(schema, dict) else None
    kinds = [_resolved(each, variables).get("type") for each in alternatives or () if each != {"type": "null"}]
    if alternatives and set(kinds) == {"object"}:
        alternatives.append({"type": "string"})
        notes.append("variable 'image' takes a string too, as a deployment's image is one")


def _resolved(schema: Any, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Itself, or what it refers to; empty if that is not there."""
    match str(schema.get("$ref")).split("/") if isinstance(schema, Mapping) else ():
        case ["#", ("definitions" | "$defs") as place, name]:
            found = variables.get(place, {}).get(name)
        case _:
            found = schema
    return found if isinstance(found, Mapping) else {}


def _take_out_variables(variables: dict[str, Any], notes: list[str]) -> set[str]:
    """Those that take a block and nothing else; of the others what is a block about them."""
    schemas: dict[str, Any] = variables.get("properties", {})
    taken_out = {name for name, schema in schemas.items() if name in _CREDENTIALS or is_block(schema, variables)}
    for name in list(schemas):
        if name in taken_out:
            del schemas[name]
            notes.append(f"variable {name!r} was taken out: it takes a Prefect block, the pool has its own credentials")
        elif isinstance(schemas[name], dict):
            _take_out_blocks(name, schemas[name], variables, notes)
    if "required" in variables:
        variables["required"] = [name for name in variables["required"] if name not in taken_out]
    return taken_out


def _take_out_blocks(name: str, schema: dict[str, Any], variables: Mapping[str, Any], notes: list[str]) -> None:
    for word in ("anyOf", "oneOf"):
        alternatives = schema.get(word, [])
        kept = [alternative for alternative in alternatives if not is_block(alternative, variables)]
        if len(kept) < len(alternatives):
            schema[word] = kept
            notes.append(f"variable {name!r} no longer takes a Prefect block; what else it takes, it still does")
    if "default" in schema and _without(schema["default"], (), (), []) != schema["default"]:
        del schema["default"]
        notes.append(f"variable {name!r} lost its default, which refers to Prefect's server; set it in the pool")


def _without(value: Any, variables: Collection[str], path: Path, notes: list[str]) -> Any:
    """`value` without the entries that use one of the variables or refer to Prefect's server, or NOT_SET."""
    if _is_block_reference(value) or (isinstance(value, str) and _uses(value, variables)):
        notes.append(f"{path_text(path)} was taken out: there is nothing any more to put there")
        return NOT_SET
    if isinstance(value, dict):
        parts = {key: _without(part, variables, (*path, key), notes) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not NOT_SET}
    if isinstance(value, list):
        items = [_without(part, variables, (*path, n), notes) for n, part in enumerate(value)]
        return [item for item in items if item is not NOT_SET]
    return value


def _is_block_reference(value: Any) -> bool:
    reference = value.get("$ref") if isinstance(value, dict) else None
    return isinstance(reference, dict) and "block_document_id" in reference


def _uses(text: str, variables: Collection[str]) -> bool:
    return any(found.kind in _PREFECTS_OWN or root(found.name) in variables for found in find_placeholders(text))


def _take_out_definitions(variables: dict[str, Any], notes: list[str]) -> None:
    """Those that nothing refers to, however indirectly."""
    rest = {key: value for key, value in variables.items() if key not in ("definitions", "$defs")}
    for place in ("definitions", "$defs"):
        definitions: dict[str, Any] = variables.get(place, {})
        used: set[str] = set()
        found = set(_references(rest, place))
        while found - used:
            used |= found
            found = {name for known in used for name in _references(definitions.get(known), place)}
        unused = [name for name in definitions if name not in used]
        for name in unused:
            del definitions[name]
        if unused:
            notes.append(f"unused definitions were taken out: {', '.join(unused)}")
        if place in variables and not definitions:
            del variables[place]


def _references(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str) and value["$ref"].startswith(f"#/{place}/"):
            yield value["$ref"].removeprefix(f"#/{place}/").split("/")[0]
        for part in value.values():
            yield from _references(part, place)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part, place)
