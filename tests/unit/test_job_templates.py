"""Base job templates: resolved as Prefect resolves them, checked as Prefect does not, and imported from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import InvalidInput, TemplateError, TooLarge
from dispatcher.job_templates import (
    REDACTED,
    check_overrides,
    check_parameters,
    check_schema,
    check_template,
    import_prefect_template,
    merge_layers,
    redact,
    render,
    resolve_configuration,
)
from dispatcher.job_variables import expand_dotted

ROOT = Path(__file__).parents[2]
VECTORS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "golden" / "templating_vectors.json").read_text(encoding="utf-8")
)["from_template"]
PREFECTS_OWN = [v for v in VECTORS if "prefect." in json.dumps([v["template"], v["values"]])]
OURS = [v for v in VECTORS if v not in PREFECTS_OWN]
EMPTY: dict[str, Any] = {"command": None, "env": {}, "labels": {}, "name": None}

Template = dict[str, Any]


def template(configuration: Mapping[str, Any], *, strict: bool = False, **variables: Any) -> Template:
    """Variables are given as their schemas; `required` and the like as themselves."""
    schemas = {name: schema for name, schema in variables.items() if isinstance(schema, dict)}
    others = {name: value for name, value in variables.items() if name not in schemas}
    made: Template = {
        "job_configuration": dict(configuration),
        "variables": {"type": "object", "properties": schemas, **others},
    }
    return made | {"strict": True} if strict else made


def straight(*, strict: bool = True, required: list[str] | None = None, **variables: Any) -> Template:
    """A template whose job configuration has each variable under its own name."""
    configuration = {name: f"{{{{ {name} }}}}" for name in variables}
    return template(configuration, strict=strict, required=required or [], **variables)


def refusal(check: Callable[..., object], *args: Any, **kwargs: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        check(*args, **kwargs)
    return refused.value


class TestResolving:
    @pytest.fixture(autouse=True)
    def homevar(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOMEVAR", "hv")

    @pytest.mark.parametrize("vector", OURS, ids=lambda v: v["name"])
    def test_a_template_is_resolved_as_recorded(self, vector: dict[str, Any]) -> None:
        before = deepcopy(vector)

        assert resolve_configuration(vector["template"], vector["values"]) == vector["result"]
        assert vector == before

    @pytest.mark.parametrize("vector", PREFECTS_OWN, ids=lambda v: v["name"])
    def test_prefects_blocks_and_variables_are_refused_by_name(self, vector: dict[str, Any]) -> None:
        error = refusal(resolve_configuration, vector["template"], vector["values"])

        assert isinstance(error, TemplateError)
        assert "{{ prefect." in str(error)
        assert error.path.startswith("job_configuration.")

    @pytest.mark.parametrize("where", ["template", "values"])
    def test_a_reference_to_a_block_is_refused(self, where: str) -> None:
        block = {"$ref": {"block_document_id": "b6f6"}}
        made = template({"a": {"b": [block if where == "template" else "{{ b }}"]}}, b={})

        error = refusal(resolve_configuration, made, {} if where == "template" else {"b": block})

        assert error.path == "job_configuration.a.b[0]"
        assert "block" in str(error)

    @pytest.mark.parametrize(
        ("made", "values", "result"),
        [
            (straight(var1={"default": "a"}, var2={}), {}, {"var1": "a"}),
            (template({"c": "{{ c }}"}, c={"default": 1}, unused={"default": 2}), {}, {"c": 1}),
            (template({}, command={"default": "echo"}), {}, {}),
            (straight(var1={"default": "a"}), {"var1": "b"}, {"var1": "b"}),
            (straight(var1={}, required=["var1"]), {"var1": 5}, {"var1": 5}),
            (template({"a": {"b": {"c": "{{ x }}"}}}, x={"default": {"d": 1}}), {}, {"a": {"b": {"c": {"d": 1}}}}),
            (template({"var1": 1, "var2": 1.1, "var3": True}), {}, {"var1": 1, "var2": 1.1, "var3": True}),
            (
                template({"l": ["{{ var1 }}", "{{ var2 }}"]}, var1={"default": "woof!"}, var2={"default": 42}),
                {},
                {"l": ["woof!", 42]},
            ),
            (
                straight(zero={"default": 0}, no={"default": False}, empty={"default": ""}),
                {},
                {"zero": 0, "no": False, "empty": ""},
            ),
            (straight(a={"default": None}), {}, {}),
            (straight(command={}), {"command": ""}, {"command": None}),
            (straight(command={}), {"command": None}, {"command": None}),
            (straight(command={}), {"command": ["a", "b"]}, {"command": ["a", "b"]}),
            (straight(labels={}), {"labels": None}, {"labels": {}}),
            (straight(labels={}), {"labels": {"a": 1, "b": None}}, {"labels": {"a": "1"}}),
            (straight(name={}), {"name": "n-{{ ctx.flow.name }}"}, {"name": "n-{{ ctx.flow.name }}"}),
        ],
    )
    def test_variables_take_their_place(self, made: Template, values: dict[str, Any], result: dict[str, Any]) -> None:
        assert resolve_configuration(made, values) == EMPTY | result

    @pytest.mark.parametrize(
        ("made", "values", "env"),
        [
            (straight(env={}), {"env": {"N": 42, "O": None, "T": True}}, {"N": "42", "O": None, "T": "True"}),
            (straight(env={}), {"env.PIP": "x"}, {"PIP": "x"}),
            (straight(env={}), {"env.A": "1", "env.B": "2"}, {"A": "1", "B": "2"}),
            (straight(env={}), {"env.A": "dotted", "env": {"A": "nested"}}, {"A": "nested"}),
            (straight(env={}), {"env": {"A": "1"}, "env.B": "2"}, {"A": "1", "B": "2"}),
            (template({"env": {"A": "literal", "C": "3"}}, env={}), {"env.A": "x"}, {"A": "x", "C": "3"}),
            (straight(env={}), {"env": None}, {}),
            (straight(env={"default": {"A": "1"}}), {"env": {"A": ""}}, {"A": ""}),
            (template({}, env={"default": {"A": "1"}}), {"env": {"B": "2"}}, {"A": "1", "B": "2"}),
            (
                template({"env": {"L": "{{ x }}"}}, x={"default": "l"}, env={"default": {"D": "d-{{ x }}"}}),
                {"env": {"O": "o"}},
                {"L": "l", "D": "d-l", "O": "o"},
            ),
        ],
    )
    def test_env_is_merged_key_by_key_and_made_of_strings(
        self, made: Template, values: dict[str, Any], env: dict[str, Any]
    ) -> None:
        assert resolve_configuration(made, values)["env"] == env

    @pytest.mark.parametrize("pool_env", ["default", "literal"])
    @pytest.mark.parametrize(
        ("pool", "deployment", "run", "env"),
        [
            ({}, {"test-var": "foo"}, {"another-var": "boo"}, {"test-var": "foo", "another-var": "boo"}),
            ({"A": "1", "B": "2"}, {"A": "1", "B": "3"}, {}, {"A": "1", "B": "3"}),
            ({"A": "1", "B": "2"}, {"C": "3", "D": "4"}, {}, {"A": "1", "B": "2", "C": "3", "D": "4"}),
            ({"A": "1", "B": "2"}, {"C": "42"}, {"C": "3", "D": "4"}, {"A": "1", "B": "2", "C": "3", "D": "4"}),
            ({"A": "1", "B": "2"}, {"B": ""}, {}, {"A": "1", "B": ""}),
        ],
    )
    def test_env_is_merged_at_every_level(
        self, pool_env: str, pool: dict[str, str], deployment: dict[str, str], run: dict[str, str], env: dict[str, str]
    ) -> None:
        default = straight(strict=False, env={"type": "object", "default": pool})
        made = default if pool_env == "default" else template({"env": pool}, env={"type": "object"})

        assert render(made, {}, {"env": deployment}, {"env": run})["env"] == env

    def test_placeholders_in_overridden_env_values_are_text(self) -> None:
        made = straight(env={"default": {"A": "1"}}, x={"default": "secret"})

        env = resolve_configuration(made, {"env": {"B": "{{ x }} {{ $HOMEVAR }}"}})["env"]

        assert env == {"A": "1", "B": "{{ x }} {{ $HOMEVAR }}"}

    def test_a_nested_env_gets_the_overrides_alone(self) -> None:
        made = template({"env": "{{ env }}", "o": "{{ env }}"}, env={"default": {"A": "1"}})

        resolved = resolve_configuration(made, {"env": {"B": "2"}})

        assert (resolved["env"], resolved["o"]) == ({"A": "1", "B": "2"}, {"B": "2"})

    @pytest.mark.parametrize(
        ("made", "values"),
        [
            (straight(env={}), {"env": "A=1"}),
            (straight(env={"default": {"A": "1"}}), {"env": ["A=1"]}),
            (template({"env": "text"}), {}),
        ],
    )
    def test_an_env_that_is_no_object_is_refused(self, made: Template, values: dict[str, Any]) -> None:
        assert refusal(resolve_configuration, made, values).path == "env"


class TestMerging:
    @pytest.mark.parametrize(
        ("layers", "merged"),
        [
            ([], {}),
            ([{"a": 1, "b": 1}, {"b": 2}, {}], {"a": 1, "b": 2}),
            ([{"a": {"x": 1}}, {"a": {"y": 2}}], {"a": {"y": 2}}),
            ([{"a": 1}, {"a": None}], {"a": None}),
            ([{"env": {"A": 1}}, {"env": {"B": 2}}, {"env.C": 3}], {"env": {"A": 1, "B": 2, "C": 3}}),
            ([{"env": {"A": 1}}, {"env.A": 2}], {"env": {"A": 2}}),
            ([{"env": {"A": 1}}, {"env": {"A": None}}], {"env": {"A": None}}),
            ([{"env": {"A": 1}}, {"env": None}, {"env": {"B": 2}}], {"env": {"A": 1, "B": 2}}),
            ([{"env": "text"}, {"env": {"B": 2}}], {"env": {"B": 2}}),
            ([{"res": {"cpu": 1, "mem": 2}}, {"res.cpu": 9}], {"res": {"cpu": 9}}),
            ([{"res.mem": 2}, {"res.cpu": 9}], {"res": {"mem": 2, "cpu": 9}}),
            ([{"res.mem": 2}, {"res": {"cpu": 9}}], {"res": {"cpu": 9}}),
            ([{"res.mem": 2}, {"res": {"gpu": 1}}, {"res.cpu": 9}], {"res": {"cpu": 9}}),
        ],
    )
    def test_a_higher_layer_replaces_what_is_below_but_env_is_merged(
        self, layers: list[dict[str, Any]], merged: dict[str, Any]
    ) -> None:
        before = deepcopy(layers)

        assert merge_layers(*layers) == merged
        assert layers == before

    def test_what_is_merged_shares_nothing_with_its_layers(self) -> None:
        layer: dict[str, Any] = {"env": {"A": "1"}, "list": [1], "a.b": [1]}
        before = deepcopy(layer)

        merged = merge_layers(layer)
        merged["env"]["B"] = "2"
        merged["list"].append(2)
        merged["a"]["b"].append(2)

        assert layer == before

    @pytest.mark.parametrize(
        ("values", "expanded"),
        [
            ({"a.b.c": 1, "a.b.d": 2}, {"a": {"b": {"c": 1, "d": 2}}}),
            ({"a": {"b": 1}, "a.b": 2}, {"a": {"b": 1}}),
            ({"a": 5, "a.b": 2}, {"a": 5}),
            ({"a.b[0]": 1}, {"a": {"b": {"0": 1}}}),
        ],
    )
    def test_dotted_keys_are_spelled_out(self, values: dict[str, Any], expanded: dict[str, Any]) -> None:
        assert expand_dotted(values) == expanded

    def test_dotted_keys_that_contradict_each_other_are_refused(self) -> None:
        assert refusal(expand_dotted, {"a.b": 1, "a.b.c": 2}).path == "a.b.c"

    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["env", "env.A", "res", "res.cpu", "cpu"]),
                st.none() | st.integers() | st.dictionaries(st.sampled_from(["A", "B", "cpu"]), st.integers()),
            ),
            max_size=3,
        )
    )
    def test_merging_what_is_merged_changes_nothing_more(self, layers: list[dict[str, Any]]) -> None:
        before = deepcopy(layers)
        merged = merge_layers(*layers)

        assert merge_layers(merged) == merged
        assert layers == before


class TestCheckingATemplate:
    def test_a_sound_template_passes_and_is_not_changed(self) -> None:
        made = straight(cpu={"type": "integer", "default": 1}, env={"type": "object", "default": {"A": "{{ cpu }}"}})
        before = deepcopy(made)

        check_template(made, pool_type="process")

        assert made == before

    @pytest.mark.parametrize(
        ("made", "said", "path"),
        [
            ({}, "no 'job_configuration'", "job_configuration"),
            ({"job_configuration": {"a": 1}}, "no 'variables'", "variables"),
            ({"job_configuration": [], "variables": {}}, "no 'job_configuration'", "job_configuration"),
            ({"job_configuration": {}, "variables": {}}, "is empty", "job_configuration"),
            (template({"a": 1}) | {"strict": "yes"}, "strict is 'yes'", "strict"),
            (template({"a": 1}) | {"strikt": True}, "'strikt'; it takes job_configuration", "strikt"),
            (template({"a": ["{{ nope }}"]}, nap={}), "{{ nope }} is not declared", "job_configuration.a[0]"),
            (template({"a": "{{ cpuu }}"}, cpu={}), "did you mean cpu?", "job_configuration.a"),
            (template({"a": "{{ res.cpu }}"}, res={}), "{{ res.cpu }} is not declared", "job_configuration.a"),
            (template({"a": "{{ $HOME }}"}, HOME={}), "the dispatcher's environment", "job_configuration.a"),
            (template({"a": "{{ ctx.flow.name }}"}), "is not declared", "job_configuration.a"),
            (template({"a": 1}, env={"default": {"A": "{{ x }}"}}), "{{ x }}", "variables.properties.env.default.A"),
            (template({"a": "x-{{ prefect.blocks.secret.a }}"}), "Prefect block", "job_configuration.a"),
            (template({"a": "{{ prefect.variables.a }}"}), "Prefect variable", "job_configuration.a"),
            (
                straight(a={"default": {"b": "{{ prefect.blocks.secret.a }}"}}),
                "Prefect block",
                "variables.properties.a.default.b",
            ),
            (
                straight(a={"default": {"$ref": {"block_document_id": "1"}}}),
                "Prefect block",
                "variables.properties.a.default",
            ),
            (
                straight(aws={"block_type_slug": "aws-credentials", "type": "object"}),
                "takes a Prefect block",
                "variables.properties.aws",
            ),
            (
                straight(cpu={"type": "integer", "default": "much"}),
                '"much" is not of type',
                "variables.properties.cpu.default",
            ),
            (
                straight(env={"type": "object", "default": {"A": 5}, "additionalProperties": {"type": "string"}}),
                "5 is not of type",
                "variables.properties.env.default.A",
            ),
            (straight(cpu={"type": "int"}), "no usable JSON Schema", "variables.properties.cpu.type"),
            (straight(cpu={"pattern": "("}), "no usable JSON Schema", "variables.properties.cpu.pattern"),
            (straight(cpu={"$ref": "#/definitions/none"}), "does not exist", "variables"),
            (straight(cpu={"$ref": "https://example.com/x"}), "is elsewhere", "variables"),
            (straight(cpu={"x-locked": "yes"}), "make it true or false", "variables.properties.cpu.x-locked"),
            (straight(cpu={"x-admin": 1}), "make it true or false", "variables.properties.cpu.x-admin"),
            (
                straight(res={"properties": {"cpu": {"x-locked": True}}}),
                "mark the whole variable",
                "variables.properties.res.properties.cpu.x-locked",
            ),
            (
                straight(login={"anyOf": [{"x-secret": True}]}),
                "mark the whole variable",
                "variables.properties.login.anyOf[0].x-secret",
            ),
            (
                template({"url": "https://{{ token }}@host"}, token={"x-secret": True}),
                "{{ token }} is secret and amid other text",
                "job_configuration.url",
            ),
        ],
    )
    def test_a_mistake_is_refused_where_it_stands(self, made: Template, said: str, path: str) -> None:
        error = refusal(check_template, made, pool_type="process")

        assert isinstance(error, TemplateError)
        assert said in str(error)
        assert error.path == path

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (date(2026, 1, 1), "job_configuration.a is 2026-01-01, a date"),
            (float("nan"), "job_configuration.a is nan"),
            ({1: "one"}, "job_configuration.a has the key 1"),
        ],
    )
    def test_what_yaml_has_and_json_has_not_is_refused(self, value: Any, said: str) -> None:
        error = refusal(check_template, template({"a": value}), pool_type="process")

        assert said in str(error)
        assert error.path == "job_configuration.a"

    def test_64_kib_is_the_most(self) -> None:
        frame = len(json.dumps(template({"a": ""})))

        check_template(template({"a": "x" * (64 * 1024 - frame)}), pool_type="process")
        error = refusal(check_template, template({"a": "é" * 40_000}), pool_type="process")

        assert isinstance(error, TooLarge)

    def test_required_variables_need_no_default(self) -> None:
        check_template(straight(image={"type": "string"}, required=["image"]), pool_type="process")

    def test_a_default_may_use_a_definition(self) -> None:
        made = straight(size={"$ref": "#/definitions/Size", "default": "large"})
        made["variables"]["definitions"] = {"Size": {"enum": ["small"]}}

        assert '"large"' in str(refusal(check_template, made, pool_type="process"))

    def test_every_shipped_template_is_sound_strict_and_fit_for_a_form(self) -> None:
        for file in sorted((ROOT / "templates").glob("*.json")):
            shipped = json.loads(file.read_text(encoding="utf-8"))
            if "job_configuration" not in shipped:
                continue
            check_template(shipped, pool_type=file.stem)
            assert shipped["strict"] is True
            assert shipped["variables"]["additionalProperties"] is False
            for schema in shipped["variables"]["properties"].values():
                assert schema["title"]
                assert schema["description"]


class TestCheckingOverrides:
    def test_values_that_fit_pass_and_are_not_changed(self) -> None:
        made = straight(cpu={"type": "integer"}, env={"type": "object"})
        layers: list[dict[str, Any]] = [{"cpu": 1}, {"env": {"A": "1"}}, {"env.B": "2", "cpu": 3}]
        before = deepcopy(layers)

        check_overrides(made, *layers, require=True)

        assert layers == before

    @pytest.mark.parametrize("level", [0, 1, 2])
    @pytest.mark.parametrize(
        ("layer", "said", "path"),
        [
            ({"cpu": "abc"}, "variable 'cpu': \"abc\" is not of types", "cpu"),
            ({"cpu": 9}, "9 is greater than the maximum of 8", "cpu"),
            ({"env": {"A": 1}}, "1 is not of type", "env.A"),
            ({"env.A": 1}, "1 is not of type", "env.A"),
            ({"ports": [80, "x"]}, '"x"', "ports[1]"),
            ({"cpuu": 1}, "variable 'cpuu' is not known to the pool's template; did you mean cpu?", "cpuu"),
            ({"what.ever": 1}, "variable 'what' is not known", "what"),
            ({"cpu": "{{ prefect.variables.cpu }}"}, "Prefect variable", "cpu"),
            ({"env": {"A": {"$ref": {"block_document_id": "1"}}}}, "Prefect block", "env.A"),
        ],
    )
    def test_what_does_not_fit_a_strict_template_is_refused_by_path_and_value(
        self, level: int, layer: dict[str, Any], said: str, path: str
    ) -> None:
        made = straight(
            cpu={"type": "integer", "maximum": 8},
            env={"type": "object", "additionalProperties": {"type": "string"}},
            ports={"type": "array", "items": {"type": "integer"}},
        )
        layers: list[dict[str, Any]] = [{}, {}, {}]
        layers[level] = layer

        error = refusal(check_overrides, made, *layers, require=False)

        assert isinstance(error, TemplateError)
        assert said in str(error)
        assert error.path == path

    def test_an_unknown_variable_is_let_pass_by_a_template_that_is_not_strict(self) -> None:
        made = straight(strict=False, cpu={"type": "integer"})

        check_overrides(made, {}, {"anything": 1}, require=True)

        assert "cpu" in str(refusal(check_overrides, made, {}, {"cpu": "x"}, require=True))

    def test_unless_its_schema_says_otherwise(self) -> None:
        made = straight(strict=False, cpu={}) | {}
        made["variables"]["additionalProperties"] = False

        error = refusal(check_overrides, made, {}, {"cpuu": 1}, require=False)

        assert (error.path, str(error)) == ("cpuu", "variable 'cpuu': is not known; did you mean cpu?")

    def test_what_is_required_must_be_there_when_a_run_is_made_and_not_before(self) -> None:
        made = straight(image={"type": "string"}, required=["image"])

        check_overrides(made, {}, {}, require=False)
        error = refusal(check_overrides, made, {}, {}, {}, require=True)

        assert (error.path, str(error)) == ("image", "variable 'image': is required and has no value")

    @pytest.mark.parametrize("level", [0, 1, 2])
    def test_what_is_required_may_come_from_any_level_or_a_default(self, level: int) -> None:
        layers: list[dict[str, Any]] = [{}, {}, {}]
        layers[level] = {"image": "job:1"}

        check_overrides(straight(image={"type": "string"}, required=["image"]), *layers, require=True)
        check_overrides(straight(image={"type": "string", "default": "x"}, required=["image"]), {}, require=True)

    def test_what_an_object_requires_may_come_later_too(self) -> None:
        made = straight(res={"type": "object", "properties": {"cpu": {}, "mem": {}}, "required": ["cpu", "mem"]})

        check_overrides(made, {}, {"res.cpu": 1}, require=False)
        check_overrides(made, {}, {"res.cpu": 1}, {"res.mem": 2}, require=True)

        assert refusal(check_overrides, made, {}, {"res.cpu": 1}, require=True).path == "res.mem"

    def test_null_is_allowed_for_what_is_not_required(self) -> None:
        made = straight(a={"type": "integer", "default": 1}, b={"type": "string"}, c={"enum": ["x"]}, required=["b"])

        check_overrides(made, {}, {"a": None}, require=False)

        assert refusal(check_overrides, made, {}, {"b": None}, require=False).path == "b"
        assert refusal(check_overrides, made, {}, {"c": None}, require=False).path == "c"

    def test_env_is_checked_merged_as_it_is_at_run_time(self) -> None:
        made = straight(env={"type": "object", "maxProperties": 2, "default": {"A": "1"}})

        check_overrides(made, {"env": {"A": "2"}}, {"env.B": "3"}, require=True)

        assert refusal(check_overrides, made, {}, {"env.B": "2"}, {"env.C": "3"}, require=True).path == "env"

    def test_what_only_looks_like_a_schema_within_a_value_is_left_as_it_is(self) -> None:
        made = straight(a={"const": {"required": ["b"]}})

        check_overrides(made, {}, {"a": {"required": ["b"]}}, require=False)

    def test_a_higher_layer_hides_what_does_not_fit_below(self) -> None:
        check_overrides(straight(cpu={"type": "integer"}), {}, {"cpu": "x"}, {"cpu": 1}, require=True)

    def test_a_list_of_items_is_a_tuple(self) -> None:
        made = straight(pair={"type": "array", "items": [{"type": "string"}, {"type": "integer"}]})

        check_template(made, pool_type="process")

        assert refusal(check_overrides, made, {}, {"pair": ["a", "b"]}, require=True).path == "pair[1]"

    def test_a_value_that_is_not_json_is_refused(self) -> None:
        error = refusal(check_overrides, straight(a={}), {}, {"a.b": [date(2026, 1, 1)]}, require=True)

        assert "2026-01-01, a date, which JSON has not; put it in quotes" in str(error)


class TestLocks:
    MADE = straight(
        image={"type": "string", "x-locked": True, "default": "ours:1"}, env={"type": "object", "x-locked": True}
    )

    @pytest.mark.parametrize("check", [lambda *layers: check_overrides(*layers, require=False), render])
    @pytest.mark.parametrize("strict", [True, False])
    @pytest.mark.parametrize("layers", [({}, {"image": "x"}), ({}, {}, {"image": "x"}), ({}, {}, {}, {"image": None})])
    def test_a_locked_variable_is_the_pools(
        self, check: Callable[..., object], strict: bool, layers: tuple[dict[str, Any], ...]
    ) -> None:
        error = refusal(check, self.MADE | {"strict": strict}, *layers)

        assert error.path == "image"
        assert str(error).startswith("variable 'image' is locked by the pool; leave it out")

    def test_so_is_each_part_of_it(self) -> None:
        assert refusal(check_overrides, self.MADE, {}, {"env.A": "1"}, require=False).path == "env.A"

    def test_the_pool_itself_sets_it(self) -> None:
        pool = {"image": "ours:2", "env.A": "1"}

        check_overrides(self.MADE, pool, {}, {}, require=True)

        assert render(self.MADE, pool, {}, {}) == EMPTY | {"image": "ours:2", "env": {"A": "1"}}


class TestSecrets:
    MADE = template(
        {
            "env": {"TOKEN": "{{ token }}", "PLAIN": "p"},
            "args": ["{{ gone }}", "--token", "{{ token }}"],
            "plain": ["{{ gone }}", "x"],
            "image": "{{ image }}",
        },
        strict=True,
        token={"type": "string", "x-secret": True, "maxLength": 8},
        gone={"type": "string"},
        image={"type": "string"},
        env={"type": "object"},
    )

    def test_no_secret_is_shown_of_variables(self) -> None:
        values = {"token": "hunter2", "token.part": "hunter2", "image": "i"}

        assert redact(self.MADE, values) == {"token": REDACTED, "token.part": REDACTED, "image": "i"}

    def test_no_secret_is_shown_of_a_configuration(self) -> None:
        rendered = resolve_configuration(self.MADE, {"token": "hunter2", "image": "i"})
        before = deepcopy(rendered)

        shown = redact(self.MADE, rendered)

        assert "hunter2" in json.dumps(rendered)
        assert rendered == before
        assert shown == rendered | {"env": {"TOKEN": REDACTED, "PLAIN": "p"}, "args": REDACTED}

    def test_nor_is_one_that_is_part_of_a_text(self) -> None:
        made = template({"url": "https://{{ token }}@host"}, token={"x-secret": True})

        assert redact(made, resolve_configuration(made, {"token": "hunter2"}))["url"] == REDACTED

    def test_nor_is_one_of_a_default_environment(self) -> None:
        made = straight(env={"default": {"T": "{{ token }}"}}, token={"x-secret": True})

        assert redact(made, resolve_configuration(made, {"token": "hunter2"}))["env"] == {"T": REDACTED}

    @pytest.mark.parametrize("values", [{"token": "hunter2-hunter2"}, {"token": 123456789}, {"token": ["hunter2"]}])
    def test_no_error_quotes_one(self, values: dict[str, Any]) -> None:
        said = str(refusal(check_overrides, self.MADE, {}, values, require=True))

        assert "token" in said
        assert not any(secret in said for secret in ("hunter2", "123456789"))

    def test_nor_does_one_about_all_values_together(self) -> None:
        made = straight(token={"x-secret": True}, image={})
        made["variables"]["not"] = {"required": ["token", "image"]}

        assert "hunter2" not in str(refusal(check_overrides, made, {"token": "hunter2", "image": "i"}, require=True))

    def test_nor_does_one_about_its_default(self) -> None:
        made = straight(token={"type": "integer", "x-secret": True, "default": "hunter2"})

        assert "hunter2" not in str(refusal(check_template, made, pool_type="process"))


class TestRendering:
    MADE = template(
        {"image": "{{ image }}", "url": "https://{{ host }}/x", "note": "{{ note }}"},
        strict=True,
        image={"type": "string", "default": "schema"},
        host={"type": "string"},
        note={"type": "string"},
    )

    @pytest.mark.parametrize(
        ("layers", "image"),
        [
            ([{}, {}, {}], "schema"),
            ([{"image": "pool"}, {}, {}], "pool"),
            ([{"image": "pool"}, {"image": "deployment"}, {}], "deployment"),
            ([{"image": "pool"}, {"image": "deployment"}, {"image": "run"}], "run"),
        ],
    )
    def test_the_highest_layer_wins(self, layers: list[dict[str, Any]], image: str) -> None:
        assert render(self.MADE, {"host": "h"}, *layers)["image"] == image

    def test_a_variable_without_a_value_takes_its_entry_with_it(self) -> None:
        assert "note" not in render(self.MADE, {"host": "h"})

    def test_a_hole_in_a_string_is_refused(self) -> None:
        error = refusal(render, self.MADE, {}, {}, {})

        assert error.path == "job_configuration.url"
        assert "{{ host }} has no value" in str(error)

    def test_a_placeholder_that_no_variable_answers_is_refused(self) -> None:
        made = template({"a": {"b": "{{ ghost }}"}}, strict=True)

        assert refusal(render, made, {}).path == "job_configuration.a.b"

    def test_what_strict_refuses_is_let_pass_otherwise(self) -> None:
        made = self.MADE | {"strict": False}

        assert render(made, {}, {"image": 5, "unknown": 1}) == EMPTY | {"image": 5, "url": "https:///x"}

    @pytest.mark.parametrize(
        "values", [{"host": "h", "unknown": 1}, {"host": 5}, {"host": "h", "image": "{{ prefect.blocks.a.b }}"}]
    )
    def test_what_registration_refuses_is_refused_again(self, values: dict[str, Any]) -> None:
        refusal(render, self.MADE, {}, {}, values)

    def test_the_dispatchers_environment_stays_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        made = template({"a": "{{ $AWS_SECRET_ACCESS_KEY }}", "env": "{{ env }}"}, env={"default": {"B": "1"}})

        rendered = render(made, {}, {"env": {"C": "{{ $AWS_SECRET_ACCESS_KEY }}"}})

        assert "hunter2" not in json.dumps(rendered)

    def test_neither_template_nor_layers_are_changed_or_shared(self) -> None:
        made = straight(env={"default": {"A": "1"}}, labels={"default": {"a": "1"}}, list={"type": "array"})
        layers: list[dict[str, Any]] = [{"list": [1]}, {"env": {"B": "2"}}, {"env.C": "3", "labels": {"x": "y"}}]
        before = deepcopy((made, layers))

        rendered = render(made, *layers)
        for part in (rendered["env"], rendered["labels"]):
            part["added"] = "later"
        rendered["list"].append(2)

        assert (made, layers) == before


class TestParameters:
    SCHEMA: Mapping[str, Any] = {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "n": {"default": 1, "position": 0, "title": "n", "type": "integer"},
            "when": {"type": "string", "format": "date-time"},
            "item": {"$ref": "#/definitions/Item"},
        },
        "required": ["item"],
        "definitions": {"Item": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
    }

    def test_parameters_that_fit_pass(self) -> None:
        check_schema(self.SCHEMA)
        check_parameters(self.SCHEMA, {"n": 2, "when": None, "item": {"id": "x"}})

    @pytest.mark.parametrize(
        ("parameters", "said", "path"),
        [
            ({"n": "two", "item": {"id": "x"}}, "parameter 'n': \"two\" is not of type", "n"),
            ({"n": None, "item": {"id": "x"}}, "parameter 'n': null", "n"),
            ({"when": "soon", "item": {"id": "x"}}, "parameter 'when': \"soon\"", "when"),
            ({"item": {"id": 5}}, "parameter 'item.id': 5 is not of type", "item.id"),
            ({"item": {}}, "parameter 'item.id': is required and has no value", "item.id"),
            ({}, "parameter 'item': is required and has no value", "item"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_name_value_and_reason(
        self, parameters: dict[str, Any], said: str, path: str
    ) -> None:
        error = refusal(check_parameters, self.SCHEMA, parameters)

        assert said in str(error)
        assert error.path == path

    def test_a_deployment_may_leave_some_to_its_runs(self) -> None:
        check_parameters(self.SCHEMA, {}, require=False)

        assert refusal(check_parameters, self.SCHEMA, {"n": "x"}, require=False).path == "n"

    def test_a_parameter_too_many_is_named(self) -> None:
        error = refusal(check_parameters, {"properties": {"day": {}}, "additionalProperties": False}, {"dya": 1})

        assert str(error) == "parameter 'dya': is not known; did you mean day?"

    @pytest.mark.parametrize(
        "schema",
        [
            [],
            {"type": "objekt"},
            {"properties": []},
            {"properties": {"a": {"type": "strin"}}},
            {"required": True},
            {"$ref": "https://example.com/schema.json"},
            {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
            {"properties": {"a": {"$ref": "other.json"}}},
            {"properties": {"a": {"pattern": "["}}},
        ],
    )
    def test_what_is_no_schema_or_leans_on_another_is_refused(self, schema: Any) -> None:
        error = refusal(check_schema, schema)

        assert "JSON Schema" in str(error)
        assert "\n" not in str(error)

    def test_a_schema_of_another_draft_is_read_as_this_one(self) -> None:
        schema = {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {"a": {"$ref": "#/definitions/A", "maxLength": 1}},  # draft 7 reads nothing beside a $ref
            "definitions": {"A": {"type": "string"}},
        }

        check_schema(schema)

        assert refusal(check_parameters, schema, {"a": "two"}).path == "a"


def exported() -> Template:
    """What matters of a template that Prefect exports."""
    return {
        "job_configuration": {
            "command": "{{ command }}",
            "aws_credentials": "{{ aws_credentials }}",
            "request": {
                "auth": {"token": "{{ aws_credentials.session }}", "cluster": "{{ cluster }}"},
                "args": ["{{ credentials }}", "x"],
            },
            "registry": "{{ image_registry }}",
            "prefect_api_key_secret_arn": "{{ prefect_api_key_secret_arn }}",
        },
        "variables": {
            "type": "object",
            "description": "Variables for a job.",
            "properties": {
                "command": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                "cluster": {"type": "string", "default": "{{ prefect.variables.cluster }}"},
                "aws_credentials": {"allOf": [{"$ref": "#/definitions/AwsCredentials"}]},
                "cluster_config": {"anyOf": [{"$ref": "#/definitions/Cluster"}, {"type": "null"}], "default": None},
                "credentials": {"type": "object"},
                "image_registry": {
                    "anyOf": [{"$ref": "#/definitions/Identity"}, {"$ref": "#/definitions/Docker"}, {"type": "null"}],
                    "default": {"$ref": {"block_document_id": "1"}},
                },
                "prefect_api_key_secret_arn": {"type": "string"},
            },
            "required": ["aws_credentials", "cluster"],
            "definitions": {
                "AwsCredentials": {
                    "block_type_slug": "aws-credentials",
                    "properties": {"more": {"$ref": "#/definitions/AwsParameters"}},
                },
                "AwsParameters": {"type": "object"},
                "Cluster": {"block_type_slug": "kubernetes-cluster-config"},
                "Docker": {"block_type_slug": "docker-registry-credentials"},
                "Identity": {"properties": {"name": {"$ref": "#/definitions/Name"}}},
                "Name": {"type": "string"},
            },
        },
    }


class TestImportingFromPrefect:
    def test_what_refers_to_blocks_is_taken_out_and_all_else_stays(self) -> None:
        imported = import_prefect_template(exported()).template

        assert imported == {
            "job_configuration": {
                "command": "{{ command }}",
                "request": {"auth": {"cluster": "{{ cluster }}"}, "args": ["x"]},
                "registry": "{{ image_registry }}",
                "prefect_api_key_secret_arn": "{{ prefect_api_key_secret_arn }}",
            },
            "variables": {
                "type": "object",
                "description": "Variables for a job.",
                "properties": {
                    "command": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                    "cluster": {"type": "string"},
                    "image_registry": {"anyOf": [{"$ref": "#/definitions/Identity"}, {"type": "null"}]},
                    "prefect_api_key_secret_arn": {"type": "string"},
                },
                "required": ["cluster"],
                "definitions": {
                    "Identity": {"properties": {"name": {"$ref": "#/definitions/Name"}}},
                    "Name": {"type": "string"},
                },
            },
        }

    def test_it_can_be_used_and_before_it_could_not(self) -> None:
        refusal(check_template, exported(), pool_type="ecs:push")

        check_template(import_prefect_template(exported()).template, pool_type="ecs:push")

    def test_each_thing_taken_out_is_noted(self) -> None:
        notes = "\n".join(import_prefect_template(exported()).notes)

        for said in (
            "variable 'aws_credentials' was taken out",
            "variable 'cluster_config' was taken out",
            "variable 'credentials' was taken out",
            "variable 'image_registry' no longer takes a Prefect block",
            "variable 'image_registry' lost its default",
            "variable 'cluster' lost its default",
            "job_configuration.aws_credentials was taken out",
            "job_configuration.request.auth.token was taken out",
            "job_configuration.request.args[0] was taken out",
            "unused definitions were taken out: AwsCredentials, AwsParameters, Cluster, Docker",
        ):
            assert said in notes

    def test_a_template_without_blocks_is_left_alone(self) -> None:
        plain = straight(strict=False, command={"type": "string"})

        imported = import_prefect_template(plain)

        assert (imported.template, imported.notes) == (plain, [])

    def test_a_whole_work_pool_will_do(self) -> None:
        pool = {"name": "p", "type": "ecs:push", "base_job_template": exported()}

        assert import_prefect_template(pool) == import_prefect_template(exported())

    def test_what_is_exported_is_not_changed(self) -> None:
        original = exported()

        import_prefect_template(original)

        assert original == exported()

    @pytest.mark.parametrize("other", [{}, {"base_job_template": {}}, {"job_configuration": {}}, {"variables": 1}])
    def test_anything_else_is_refused(self, other: dict[str, Any]) -> None:
        assert "prefect work-pool inspect" in str(refusal(import_prefect_template, other))
