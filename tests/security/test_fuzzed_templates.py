"""Whatever a deployment or a run says in its job variables: a request that JSON can say, or a refusal with its path."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher import job_templates, registry
from dispatcher.errors import InvalidInput
from dispatcher.ports import Request

Json = dict[str, Any]
Mutated = Callable[[Any], st.SearchStrategy[Any]]

SHIPPED = registry.templates()
# A value that fits, for what its schema alone does not tell.
FITTING: Json = {
    "command": ["job"],
    "env": {"A": "1", "B": None},
    "labels": {"team": "data"},
    "image": "job:1",
    "network_configuration": {"subnets": ["subnet-0a"], "assignPublicIp": "ENABLED"},
    "capacity_provider_strategy": [{"capacityProvider": "FARGATE", "weight": 1}],
    "env_from_secrets": {"A": {"secret": "db", "version": "latest"}},
    "secret_files": {"/etc/x/a": {"secret": "db"}},
    "image_registry": {"registry_url": "team.azurecr.io", "username": "u"},
    "secure_env": {"A": "db-password"},
    "volumes": {"/data": "v"},
    "outbound_cidr_allowlist": ["10.0.0.0/8"],
}


def values_for(kind: str) -> Json:
    """One for each variable, right or nearly so: what it says is spoilt anyway."""
    example = {"string": "x", "number": 1, "integer": 1, "boolean": True, "array": ["x"], "object": {"a": "b"}}
    found: Json = {}
    for name, schema in SHIPPED[kind]["variables"]["properties"].items():
        types = schema.get("type", "string")
        found[name] = FITTING.get(name, example[types if isinstance(types, str) else types[0]])
    return found


def resolved(kind: str, requested: Callable[..., Request], variables: Json, layer: int) -> None:
    layers = ({}, variables) if layer else (variables, {})
    with contextlib.suppress(InvalidInput):
        job_templates.check_overrides(SHIPPED[kind], {}, {}, *layers, require=False)
        requested(kind, *layers)


@settings(max_examples=120)
@given(data=st.data())
def test_variables_may_be_anything(
    kind: str, requested: Callable[..., Request], mutated: Mutated, data: st.DataObject
) -> None:
    wanted = data.draw(st.sets(st.sampled_from(sorted(values_for(kind))), min_size=1, max_size=4))
    variables = data.draw(mutated({name: values_for(kind)[name] for name in sorted(wanted)}))

    resolved(kind, requested, variables, data.draw(st.integers(0, 1)))


def test_each_variable_may_be_anything(
    kind: str, requested: Callable[..., Request], every_mutation: Callable[[Any], Iterator[tuple[Any, Any, Any]]]
) -> None:
    for name, value in values_for(kind).items():
        for steps, hostile, variables in every_mutation({name: value}):
            try:
                resolved(kind, requested, variables, 0)
            except Exception as exc:
                raise AssertionError(f"{steps} is {hostile!r:.60}") from exc


@settings(max_examples=150)
@given(
    key=st.text(st.sampled_from('env.[]ab0"$ \x00é'), max_size=12)
    | st.sampled_from(["env" + "[" * 99, ".", "..", "a[0"]),
    value=st.none() | st.text(max_size=5) | st.just({"A": "1"}),
)
def test_a_key_may_be_spelled_any_way(kind: str, requested: Callable[..., Request], key: str, value: Any) -> None:
    resolved(kind, requested, {key: value, "env.A": "x"}, 1)


@settings(max_examples=150)
@given(text=st.text(st.sampled_from("{} $._[]aé\n"), max_size=40))
def test_braces_in_a_template_are_placeholders_or_text(text: str) -> None:
    template = {
        "job_configuration": {"x": text},
        "variables": {"type": "object", "properties": {"a": {"default": "1"}}},
    }
    with contextlib.suppress(InvalidInput):
        job_templates.check_template(template, pool_type="process")
        assert job_templates.render(template, {})["x"] == re.sub(r"{{\s*a\s*}}", "1", text)


@pytest.mark.parametrize("text", ["{{" + " " * 200_000, "{{ " + "a" * 200_000, "{{" * 100_000, "{{ a " * 50_000])
def test_text_that_is_nearly_a_placeholder_is_text(kind: str, requested: Callable[..., Request], text: str) -> None:
    resolved(kind, requested, {"labels": {"A": text}, "env": {"A": text}}, 0)
