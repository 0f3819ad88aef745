"""Secret job variables are stored by name and looked up when the job is submitted."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher import job_templates, settings
from dispatcher.errors import Misconfigured, TemplateError
from dispatcher.secret_values import Remembered, revealed
from dispatcher.testing.clock import HandClock

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
