"""Secret job variables are stored by name and looked up when the job is submitted."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher import job_templates, settings, wiring
from dispatcher.errors import Misconfigured, TemplateError
from dispatcher.secret_values import Remembered, revealed, starred
from dispatcher.testing.clock import HandClock


class Silent:
    def wake(self, pool: str, at: object = None, *, hops: int = 0) -> None:
        """Nobody makes a pass here."""


TEMPLATE: dict[str, Any] = {
    "strict": True,
    "job_configuration": {"command": "job", "env": {"PASSWORD": "{{ password }}", "OTHER": "{{ other }}"}},
    "variables": {
        "type": "object",
        "properties": {
            "password": {"type": "string", "x-secret": True},
            "other": {"type": ["string", "object"], "default": "plain"},
        },
    },
}


def test_a_secret_is_rendered_as_a_reference_and_revealed_only_in_what_is_submitted() -> None:
    configuration = job_templates.render(TEMPLATE, {}, {"password": "db-password"})

    assert configuration["env"] == {"PASSWORD": {"$secret": "db-password"}, "OTHER": "plain"}
    assert revealed(configuration, lambda name: f"value of {name}")["env"]["PASSWORD"] == "value of db-password"


def test_the_default_of_a_secret_variable_is_a_name_too() -> None:
    template = json.loads(json.dumps(TEMPLATE))
    template["variables"]["properties"]["password"]["default"] = "db-password"

    assert job_templates.render(template, {})["env"]["PASSWORD"] == {"$secret": "db-password"}


def test_a_value_in_place_of_a_name_is_refused_without_showing_it() -> None:
    with pytest.raises(TemplateError, match=r"password.*is secret: give the name") as refused:
        job_templates.check_overrides(TEMPLATE, {}, {"password": "hunter2 & more"}, require=True)

    assert "hunter2" not in str(refused.value)


def test_an_object_of_names_is_secret_in_each_of_its_parts() -> None:
    template = {
        "job_configuration": {"command": "job", "secure_env": "{{ secure_env }}"},
        "variables": {"type": "object", "properties": {"secure_env": {"type": "object", "x-secret": True}}},
    }

    rendered = job_templates.render(template, {}, {}, {"secure_env": {"DB": "db-password", "GONE": None}})

    assert rendered["secure_env"] == {"DB": {"$secret": "db-password"}, "GONE": None}
    assert job_templates.redact(template, {"secure_env": {"DB": "db-password"}}) == {"secure_env": {"DB": "********"}}
    with pytest.raises(TemplateError, match=r"secure_env\.DB' is secret: give the name") as refused:
        job_templates.check_overrides(template, {}, {}, {"secure_env": {"DB": "p@ss w0rd!"}}, require=True)
    assert "p@ss" not in str(refused.value)


@pytest.mark.parametrize("key", ["password", "password.x"])
def test_a_run_may_not_name_secrets_a_deployment_may(key: str) -> None:
    for check in (job_templates.render, lambda *layers: job_templates.check_overrides(*layers, require=True)):
        with pytest.raises(TemplateError, match=r"variable 'password' names secrets .* and a run may not; set it in"):
            check(TEMPLATE, {}, {}, {"password": "mine"}, {key: "db-password"})


def test_no_job_has_the_dispatchers_own_token(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "modal-token").write_text("{}")
    (tmp_path / "secrets" / "db-password").write_text("hunter2")
    environ = {"PUSHPOOL_HOME": str(tmp_path), "PUSHPOOL_STORE": f"sqlite://{tmp_path / 'p.db'}"}
    context = wiring.context_of(settings.read(environ), Silent())

    assert context.secret("db-password") == "hunter2"
    for name in ("modal-token", "Modal_Token"):
        with pytest.raises(Misconfigured, match="is the dispatcher's own, and no job may have it"):
            context.secret(name)


def test_an_override_cannot_spell_a_reference_itself() -> None:
    with pytest.raises(TemplateError, match=r"only a variable marked x-secret"):
        job_templates.render(TEMPLATE, {}, {"other": {"$secret": "db-password"}})


def test_a_secret_comes_from_its_variable_or_its_file_and_from_nowhere_else(tmp_path: Path) -> None:
    read = settings.read({"PUSHPOOL_HOME": str(tmp_path)})
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "from-file").write_text("filed\n")
    environ = {"PUSHPOOL_SECRET_DB_PASSWORD": "set", "PATH": "/bin"}

    assert settings.secret(read, "db-password", environ) == "set"
    assert settings.secret(read, "from-file", environ) == "filed"
    with pytest.raises(Misconfigured, match="secret 'PATH' is not there: set PUSHPOOL_SECRET_PATH, or write"):
        settings.secret(read, "PATH", environ)


def test_a_value_is_kept_for_a_while_and_an_error_is_not() -> None:
    clock, asked = HandClock(), []

    def look_up(name: str) -> str:
        asked.append(name)
        if len(asked) == 1:
            raise Misconfigured("not there yet")
        return f"{name}-{len(asked)}"

    remembered = Remembered(look_up, clock.now)
    with pytest.raises(Misconfigured):
        remembered("key")

    assert [remembered("key"), remembered("key"), remembered("other")] == ["key-2", "key-2", "other-3"]
    clock.move(timedelta(minutes=6))
    assert remembered("key") == "key-4"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key is AAAABBBB CCCCDDDD.", "AAAABBBB\nCCCCDDDD"),
        ("the body is cut here: AAAABB", "AAAABBBB"),
        ('in JSON it is \u00e4\\"AAAA', '\u00e4"AAAA'),
    ],
    ids=["lines that were joined", "cut off", "JSON that is not ASCII"],
)
def test_a_secret_that_was_not_quoted_as_it_is_is_starred_all_the_same(text: str, secret: str) -> None:
    assert "AAAA" not in starred(text, [secret])


def test_a_secret_within_another_leaves_nothing_of_that() -> None:
    assert starred("outer-inner-outer", ["inner", "outer-inner-outer"]) == "********"
