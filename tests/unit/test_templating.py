"""Placeholders and their values: the recorded vectors, and the rules behind them one by one."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dispatcher.errors import TemplateError
from dispatcher.templating import NOT_SET, Placeholder, PlaceholderKind, apply_values, find_placeholders, lookup

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "templating_vectors.json").read_text(encoding="utf-8")
)
PEOPLE = {"people": [{"name": "Ada"}, {"name": "Bob"}], "person": {"name": "Cy"}}


def name_of(case: dict[str, Any]) -> str:
    return json.dumps(case["template"])


def expected(case: dict[str, Any]) -> Any:
    return NOT_SET if case["result"] == "<NotSet>" else case["result"]


@pytest.fixture(autouse=True)
def homevar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEVAR", "hv")
    monkeypatch.delenv("NOPE_X", raising=False)


@pytest.mark.parametrize("case", VECTORS["apply_values"], ids=name_of)
def test_values_are_applied_as_recorded(case: dict[str, Any]) -> None:
    result = apply_values(case["template"], case["values"])

    assert result == expected(case)
    assert type(result) is type(expected(case))


@pytest.mark.parametrize("case", VECTORS["apply_values_keep"], ids=name_of)
def test_values_are_applied_as_recorded_where_unset_text_is_kept(case: dict[str, Any]) -> None:
    result = apply_values(case["template"], case["values"], remove_notset=False)

    assert result == expected(case)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("", []),
        ("Hello {{name}}!", ["name"]),
        ("{{ first }} and {{ second }}", ["first", "second"]),
        ("${{balance}}", ["balance"]),
        ("{{x}}{{x}}", ["x"]),
        ("{{    first_name }}", ["first_name"]),
        ("{{ a b }} {{ a|b }} {{}} {a}", []),
        ({"a": "{{ x }}", "b": {"c": ["{{ y }}", 1, None]}}, ["x", "y"]),
        ({"{{ key }}": "text"}, []),
        (["{{ a[0].b-c }}"], ["a[0].b-c"]),
        (3, []),
        (True, []),
        (None, []),
        (NOT_SET, []),
    ],
)
def test_placeholders_are_found_in_the_strings_of_a_template(template: Any, names: list[str]) -> None:
    assert sorted(found.name for found in find_placeholders(template)) == names


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{{ name }}", "standard"),
        ("{{ prefect.flow_run.id }}", "standard"),
        ("{{ ctx.flow.name }}", "standard"),
        ("{{prefect.blocks.document.name}}", "block"),
        ("{{ prefect.variables.name }}", "variable"),
        ("{{$MY_ENV_VAR}}", "environment"),
        ("{{$$}}", "environment"),
    ],
)
def test_the_kind_of_a_placeholder_is_told_by_its_beginning(text: str, kind: str) -> None:
    (found,) = find_placeholders(text)

    assert found.kind is PlaceholderKind(kind)
    assert found.text == text


def test_equal_placeholders_are_one_however_often_they_stand_there() -> None:
    assert find_placeholders(["{{x}}", "{{x}}"]) == {Placeholder("{{x}}", "x")}


@pytest.mark.parametrize("template", [("a",), {"when": date(2026, 1, 1)}, [b"bytes"]])
def test_a_template_that_is_not_json_is_refused(template: Any) -> None:
    with pytest.raises(TemplateError, match="quote"):
        apply_values(template, {})
    with pytest.raises(TemplateError, match="quote"):
        find_placeholders(template)


@pytest.mark.parametrize(
    ("template", "values", "result"),
    [
        ("Hello, {{name}}!", {"name": "Alice"}, "Hello, Alice!"),
        ("{{ first_name }} {{ last_name }}", {"first_name": "A", "last_name": "B"}, "A B"),
        (
            {"name": "{{first_name}} {{last_name}}", "age": "{{age}}"},
            {"first_name": "A", "last_name": "B", "age": 30},
            {"name": "A B", "age": 30},
        ),
        ({"name": "{{name}}", "age": "{{age}}"}, {"name": "A"}, {"name": "A"}),
        ({"last_name": None}, {}, {"last_name": None}),
        ({"a": {"b": "{{ x }}"}}, {"x": [1]}, {"a": {"b": [1]}}),
        ({"a": NOT_SET, "b": 1}, {}, {"b": 1}),
        (["Hi {{ name }}", {"n": "{{ name }}"}], {"name": "A"}, ["Hi A", {"n": "A"}]),
        (1, {}, 1),
        (1.5, {}, 1.5),
        (False, {}, False),
        (None, {}, None),
        ("{{ person.name }}", PEOPLE, "Cy"),
        ("{{ people[0].name }}", PEOPLE, "Ada"),
        ("{{ people[1] }}", PEOPLE, {"name": "Bob"}),
        ("{{ people[-1].name }}", PEOPLE, "Bob"),
        ("{{ person }}", PEOPLE, {"name": "Cy"}),
        ("{{ $NOPE_X }}", {}, ""),
        ("{{ $$HOMEVAR }}", {}, "hv"),
        ('{"greeting": "{{$NOPE_X}}", "{{$$}}": 1}', {}, '{"greeting": "", "": 1}'),
        ("{{ word[1] }}", {"word": "abc"}, "b"),
        ("{{ 1 }}", {"1": "a key is a number only in a list"}, NOT_SET),
        ("{{ a..b }}", {"a": {"b": 1}}, NOT_SET),
        ("{{ a.b }}", {"a": None}, NOT_SET),
        ("{{ a }}", {"a": NOT_SET}, NOT_SET),
        ("{{ a }}\n", {"a": 1}, "1\n"),
        ("{{ none }}!", {"none": None}, "None!"),
    ],
)
def test_a_value_keeps_its_type_only_where_it_is_the_whole_string(
    template: Any, values: dict[str, Any], result: Any
) -> None:
    assert apply_values(template, values) == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ({"name": "Bob {{last_name}}"}, {"name": "Bob {{last_name}}"}),
        ({"name": "{{ last_name }}"}, {"name": "{{ last_name }}"}),
        ({"name": NOT_SET}, {"name": NOT_SET}),
        ([NOT_SET, 1], [1]),
        ("{{ last_name }}", NOT_SET),
    ],
)
def test_unset_text_can_be_kept_but_not_in_a_list(template: Any, result: Any) -> None:
    assert apply_values(template, {}, remove_notset=False) == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("{{ ctx.flow.name }}", "{{ ctx.flow.name }}"),
        ("run-{{ ctx.flow.name }}", "run-{{ ctx.flow.name }}"),
        ("{{ a }}-{{ ctx.flow.name }}-{{ b }}", "1-{{ ctx.flow.name }}-"),
        ({"k": ["{{ ctx.x }}", "{{ b }}"]}, {"k": ["{{ ctx.x }}"]}),
    ],
)
def test_names_of_a_skipped_prefix_are_left_for_later(template: Any, result: Any) -> None:
    assert apply_values(template, {"a": 1, "ctx": {"flow": {"name": "no"}}}, skip_prefixes=["ctx."]) == result


def test_a_value_is_not_read_again_for_placeholders() -> None:
    values = {"a": "{{ b }}", "b": "{{ a }}", "c": "{{ $HOMEVAR }}"}

    assert apply_values("{{ a }} {{ b }} {{ c }}", values) == "{{ b }} {{ a }} {{ $HOMEVAR }}"


def test_the_environment_can_be_given_instead_of_the_real_one() -> None:
    assert apply_values("{{ $HOMEVAR }}", {}, environ={"HOMEVAR": "given"}) == "given"
    assert apply_values("{{ $HOMEVAR }}", {}, environ={}) == ""


def test_the_same_value_in_two_places_is_not_shared() -> None:
    values = {"labels": {"a": ["1"]}}

    result = apply_values({"x": "{{ labels }}", "y": "{{ labels }}"}, values)
    result["x"]["a"].append("2")

    assert result["y"] == values["labels"] == {"a": ["1"]}


def test_a_key_with_a_dot_is_never_found() -> None:
    assert lookup({"a.b": 1}, "a.b") is NOT_SET
    assert lookup({"a": {"b": None}}, "a.b") is None


NAMES = st.sampled_from(["a", "b", "a.b", "a[0]", "$HOMEVAR", "prefect.blocks.x.y"])
TEXTS = st.lists(st.one_of(NAMES.map("{{{{ {} }}}}".format), st.sampled_from(["x", " ", "{{", "}}"]))).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(template=VALUES, values=st.dictionaries(st.sampled_from("abc"), VALUES))
def test_neither_template_nor_values_are_changed(template: Any, values: dict[str, Any]) -> None:
    before = deepcopy((template, values))

    apply_values(template, values)
    apply_values(template, values, remove_notset=False)

    assert (template, values) == before


@given(template=VALUES)
def test_a_template_without_placeholders_is_its_own_result(template: Any) -> None:
    assume(not find_placeholders(template))

    assert apply_values(template, {"a": 1}) == template
