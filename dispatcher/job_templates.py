"""Base job templates: checked, merged with overrides, and resolved into a job configuration.

Precedence, from the lowest: a literal in `job_configuration`, a variable's schema default, the pool's variables, the
deployment's, the run's. Each replaces what is below, but `env` is merged key by key at every level. The rules are
Prefect's. What Prefect passes over in silence is refused if the template says `"strict": true`; a variable that
says `"x-locked": true` cannot be overridden, one that says `"x-admin": true` not by a run, and the value of one that
says `"x-secret": true` is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher import json_schema, secret_values
from dispatcher.errors import TemplateError
from dispatcher.job_variables import (
    defaults,
    expand_dotted,
    kept_from_runs,
    locked,
    merge_layers,
    named_secrets,
    properties,
    refuse_blocks,
    root,
    secret,
    strings,
    with_defaults,
)
from dispatcher.json_schema import check_parameters, check_schema, path_text
from dispatcher.prefect_templates import ImportedTemplate, import_prefect_template
from dispatcher.secret_values import is_marked
from dispatcher.template_checks import check_template
from dispatcher.templating import NOT_SET, apply_values, find_placeholders, lookup

__all__ = [
    "REDACTED",
    "ImportedTemplate",
    "check_overrides",
    "check_parameters",
    "check_schema",
    "check_template",
    "import_prefect_template",
    "is_strict",
    "merge_layers",
    "redact",
    "render",
    "resolve_configuration",
]

REDACTED = secret_values.STARS


def is_strict(template: Mapping[str, Any]) -> bool:
    return template.get("strict") is True


def check_overrides(template: Mapping[str, Any], *layers: Mapping[str, Any], require: bool) -> None:
    """The pool's variables first, then those that override them, in rising precedence; the fourth is the run's.

    Values are looked at as they will be at run time; `require` False: what is required may still be given later.

    :raises InvalidInput: a value does not fit, is locked, or is unknown to a strict template; `path` says which.
    """
    _refuse_locked(template, *layers[1:])
    _refuse_of_runs(template, *layers[3:])
    merged = merge_layers(*layers)
    refuse_blocks(merged, ())
    secret_values.refuse_marks(merged)
    secrets = named_secrets(template)
    for key in (key for key in merged if root(key) in secrets):
        secret_values.check(key, merged[key])
    if is_strict(template):
        _refuse_unknown(template, merged)
    _check_values(template, with_defaults(template, merged), require=require)


def render(template: Mapping[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """The job configuration of a run. Nothing of the dispatcher's own environment gets into it.

    :raises InvalidInput: a locked variable is overridden; of a strict template, whatever it does not allow.
    """
    if is_strict(template):
        check_overrides(template, *layers, require=True)
        _refuse_unresolved(template, with_defaults(template, merge_layers(*layers)))
    _refuse_locked(template, *layers[1:])
    _refuse_of_runs(template, *layers[3:])
    merged = merge_layers(*layers)
    secret_values.refuse_marks(merged)
    secrets = named_secrets(template)
    by_default = {name: value for name, value in defaults(template).items() if name in secrets}
    values = {
        key: secret_values.marked(value) if root(key) in secrets else value
        for key, value in (by_default | merged).items()
    }
    return resolve_configuration(template, values, environ={})


def resolve_configuration(
    base_job_template: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """`job_configuration` with values for its variables; always with `command`, `env`, `labels` and `name`.

    Only the top-level `env` is merged; a nested `{{ env }}` gets the overrides alone, or the defaults if there are
    none. Placeholders in default env values are resolved, being the template's; those in overrides are text.

    :raises TemplateError: a Prefect block or variable is referred to, or `env` or `labels` is no object.
    """
    configuration = _with_default_env(base_job_template)
    overrides = expand_dotted(values)
    resolved: dict[str, Any] = apply_values(configuration, defaults(base_job_template) | overrides, environ=environ)
    if isinstance(configuration.get("env"), Mapping) and overrides.get("env"):
        resolved["env"] = {**resolved["env"], **_object(overrides["env"], "env")}
    refuse_blocks(resolved, ("job_configuration",))
    return _normalised(resolved)


def redact(template: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of variables, or a resolved configuration, to be shown: `REDACTED` stands for whatever is secret."""
    secrets = secret(template)
    shown: dict[str, Any] = _redacted(_with_default_env(template), json_schema.plain(values), secrets)
    return {key: _masked(value) if root(key) in secrets else value for key, value in shown.items()}


def _refuse_locked(template: Mapping[str, Any], *layers: Mapping[str, Any]) -> None:
    for key in (key for layer in layers for key in layer):
        if root(key) in locked(template):
            way_out = "leave it out, or have it set in the pool's variables or unlocked in its template"
            raise TemplateError(f"variable {root(key)!r} is locked by the pool; {way_out}", path=key)


def _refuse_of_runs(template: Mapping[str, Any], *layers: Mapping[str, Any]) -> None:
    """Who may start runs, and nothing else, chooses neither secrets nor in whose name and place a run of theirs is."""
    for key in (key for layer in layers for key in layer):
        way_out = "set it in the deployment, or in the pool's variables"
        if root(key) in named_secrets(template):
            what = f"variable {root(key)!r} names secrets of this installation, and a run may not"
            raise TemplateError(f"{what}; {way_out}", path=key)
        if root(key) in kept_from_runs(template):
            raise TemplateError(f"variable {root(key)!r} is not for runs to choose; {way_out}", path=key)


def _refuse_unknown(template: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in properties(template):
            hint = json_schema.likely(name, template["variables"])
            raise TemplateError(f"variable {name!r} is not known to the pool's template{hint}", path=name)


def _check_values(template: Mapping[str, Any], values: Mapping[str, Any], *, require: bool) -> None:
    reading = json_schema.Reading(required=require, secrets=secret(template))
    problem = json_schema.first_problem(template["variables"], values, reading)
    if problem is not None:
        where = path_text(problem.path)
        raise TemplateError(f"variable {where!r}: {problem.reason}", path=where)


def _refuse_unresolved(template: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """A variable without a value may take a whole entry with it; it may not leave a hole in a string."""
    for path, text in strings(_with_default_env(template), ("job_configuration",)):
        for placeholder in find_placeholders(text):
            optional = placeholder.name in properties(template) and placeholder.text == text
            if optional or lookup(values, placeholder.name) is not NOT_SET:
                continue
            where = path_text(path)
            way_out = "set it in job_variables, or give the variable a default"
            raise TemplateError(f"{where}: {placeholder.text} has no value; {way_out}", path=where)


def _with_default_env(template: Mapping[str, Any]) -> dict[str, Any]:
    """`job_configuration` with the default environment in its `env`, over what is literal there."""
    configuration = dict(template["job_configuration"])
    default = defaults(template).get("env")
    if default:
        literal = configuration.get("env")
        below = literal if isinstance(literal, Mapping) else {}
        configuration["env"] = {**below, **_object(default, "variables.properties.env.default")}
    return configuration


def _normalised(configuration: Mapping[str, Any]) -> dict[str, Any]:
    env = _object(configuration.get("env"), "env")
    labels = _object(configuration.get("labels"), "labels")
    return {
        **configuration,
        "command": configuration.get("command") or None,
        "env": {name: value if value is None or is_marked(value) else str(value) for name, value in env.items()},
        "labels": {name: str(value) for name, value in labels.items() if value is not None},
        "name": configuration.get("name"),
    }


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise TemplateError(f"{path} is a {type(value).__name__}; it must be an object", path=path)


def _redacted(template: Any, shown: Any, secrets: set[str]) -> Any:
    """`shown` without what a placeholder of a secret variable has put there."""
    if isinstance(template, Mapping) and isinstance(shown, dict):
        return {key: _redacted(template.get(key), value, secrets) for key, value in shown.items()}
    if isinstance(template, list) and isinstance(shown, list) and len(template) == len(shown):
        return [_redacted(t, s, secrets) for t, s in zip(template, shown, strict=True)]
    used = {root(placeholder.name) for placeholder in find_placeholders(template)}
    return _masked(shown) if used & secrets else shown


def _masked(value: Any) -> Any:
    """Names of keys stay, and null, which is no secret."""
    if isinstance(value, dict):
        return {key: _masked(part) for key, part in value.items()}
    return None if value is None else REDACTED
