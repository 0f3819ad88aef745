"""Job variables: what a template declares of them, and the layers of values that are given to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dispatcher.errors import TemplateError
from dispatcher.json_schema import Path, path_text, plain
from dispatcher.templating import PlaceholderKind, find_placeholders

MAX_DEPTH = 60  # of a dotted key


def properties(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of each variable."""
    declared = (template.get("variables") or {}).get("properties")
    return declared if isinstance(declared, Mapping) else {}


def defaults(template: Mapping[str, Any]) -> dict[str, Any]:
    """Null is no default; 0, false and the empty string are."""
    schemas = {name: schema for name, schema in properties(template).items() if isinstance(schema, Mapping)}
    return {name: s["default"] for name, s in schemas.items() if s.get("default") is not None}


def locked(template: Mapping[str, Any]) -> set[str]:
    """The variables that nobody but the pool may set."""
    return {name for name, s in properties(template).items() if isinstance(s, Mapping) and s.get("x-locked")}


def secret(template: Mapping[str, Any]) -> set[str]:
    """The variables that are secret, or of which a part is."""
    return {name for name, schema in properties(template).items() if _holds_secret(schema)}


def named_secrets(template: Mapping[str, Any]) -> set[str]:
    """The variables whose value is the name of a secret."""
    return {n for n, s in properties(template).items() if isinstance(s, Mapping) and s.get("x-secret") is True}


def kept_from_runs(template: Mapping[str, Any]) -> set[str]:
    """The variables that only a pool or a deployment may set, since who may start runs may not choose them."""
    return {n for n, s in properties(template).items() if isinstance(s, Mapping) and s.get("x-admin")}


def root(key: str) -> str:
    """The variable that a dotted key is a part of."""
    return _parts(key)[0]


def with_defaults(template: Mapping[str, Any], merged: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every variable that has one; `env` is merged with its default, as it is at run time."""
    default = defaults(template)
    values = default | dict(merged)
    if isinstance(default.get("env"), Mapping) and isinstance(merged.get("env"), Mapping):
        values["env"] = {**default["env"], **merged["env"]}
    return values


def merge_layers(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping without dotted keys; the last layer has the highest precedence.

    `env` is merged, and null adds nothing to it. Dotted keys of one variable in several layers add up; a key that
    is not dotted replaces all of it.
    """
    merged: dict[str, Any] = {}
    in_parts: set[str] = set()
    for layer in layers:
        for key, value in expand_dotted(layer).items():
            below = merged.get(key)
            if key == "env" and (value is None or isinstance(value, dict)):
                merged[key] = (below if isinstance(below, dict) else {}) | (value or {})
            elif key in layer:
                merged[key] = value
                in_parts.discard(key)
            else:
                merged[key] = _merge_deeply(below, value) if key in in_parts else value
                in_parts.add(key)
    return merged


def expand_dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with `{"env.A": 1}` spelled `{"env": {"A": 1}}`. Where both spellings are used, the nested one wins.

    :raises TemplateError: two dotted keys contradict each other.
    """
    expanded: dict[str, Any] = {}
    for key in (key for key in values if "." in key):
        _set_path(expanded, key, plain(values[key]))
    for key in (key for key in values if "." not in key):
        value, dotted = plain(values[key]), expanded.get(key)
        both = isinstance(value, dict) and isinstance(dotted, dict)
        expanded[key] = _merge_deeply(dotted, value) if both else value
    return expanded


def strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every string in it that can be a template, and where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from strings(part, (*path, key))
    elif isinstance(value, list):
        for n, part in enumerate(value):
            yield from strings(part, (*path, n))


def refuse_blocks(value: Any, path: Path) -> None:
    """:raises TemplateError: a Prefect block or variable is referred to somewhere in it."""
    for where, text in strings(value, path):
        for found in find_placeholders(text):
            if found.kind in (PlaceholderKind.BLOCK, PlaceholderKind.VARIABLE):
                raise _no_blocks(where, f"{found.text} is a Prefect {found.kind}")
        if where[-2:] == ("$ref", "block_document_id"):
            raise _no_blocks(where[:-2], "it refers to a Prefect block")


def _no_blocks(path: Path, what: str) -> TemplateError:
    where = path_text(path)
    way_out = "give the value itself, or take it out as `pushpool template import` does"
    return TemplateError(f"{where}: {what}, and pushpool has none; {way_out}", path=where)


def _holds_secret(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_holds_secret, schema))
    if not isinstance(schema, Mapping):
        return False
    return schema.get("x-secret") is True or any(map(_holds_secret, schema.values()))


def _parts(key: str) -> list[str]:
    """`a[0].b` and `a.0.b` are the same key: whoever looks at its root and whoever expands it must agree."""
    return key.replace("[", ".").replace("]", "").split(".")


def _set_path(target: dict[str, Any], key: str, value: Any) -> None:
    *above, last = _parts(key)
    if len(above) > MAX_DEPTH:
        raise TemplateError(f"{key[:60]!r}… has {len(above)} dots and brackets; {MAX_DEPTH} is the most", path=key[:60])
    for part in above:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise TemplateError(f"{key!r} is set within {part!r}, which another key gives a value", path=key)
    target[last] = value


def _merge_deeply(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merge_deeply(below.get(key), value) for key, value in above.items()}
