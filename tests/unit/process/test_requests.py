"""What a process pool makes of a job's configuration."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import process
from adapters.infrastructure.process.rendering import CannotStartError, launch
from dispatcher.errors import InvalidInput, Misconfigured
from dispatcher.ports import Job, Logs, Watching

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("process_*.json"))


def make_job(configuration: Mapping[str, Any]) -> Job:
    return Job(
        pool="laptop",
        run_id="0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11",
        run_name="brisk-otter",
        deployment="etl",
        attempt=1,
        submit_seq=1,
        configuration=configuration,
        environment={"PUSHPOOL_ATTEMPT": "1", "PUSHPOOL_API_URL": "http://127.0.0.1:4280"},
    )


@pytest.fixture
def adapter(tmp_path: Path) -> process.Process:
    return process.open({"state_directory": str(tmp_path), "host": "laptop.local"})


def body_of(adapter: process.Process, configuration: Mapping[str, Any]) -> dict[str, Any]:
    return dict(adapter.request(make_job(configuration)).body)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_request_is_as_it_was(adapter: process.Process, golden: Path) -> None:
    case = json.loads(golden.read_text())

    assert asdict(adapter.request(make_job(case["configuration"]))) == case["request"]


def test_it_has_the_further_abilities(adapter: process.Process) -> None:
    assert isinstance(adapter, Watching)
    assert isinstance(adapter, Logs)


def test_there_are_golden_requests() -> None:
    assert len(GOLDEN) == 4


def test_a_request_names_no_path_of_this_machine(adapter: process.Process) -> None:
    said = json.dumps(body_of(adapter, {"command": "python flow.py"}))

    assert sys.executable not in said
    assert "runner.py" not in said


@pytest.mark.parametrize("command", [None, "", "  ", [], [""]])
def test_an_empty_command_is_refused_and_the_way_out_named(adapter: process.Process, command: object) -> None:
    with pytest.raises(InvalidInput, match="give the deployment a command or an entrypoint") as refused:
        body_of(adapter, {"command": command})

    assert refused.value.path == "command"


@pytest.mark.parametrize(
    ("configuration", "path"),
    [
        ({"command": "echo 'unclosed"}, "command"),
        ({"command": {"run": "it"}}, "command"),
        ({"command": ["echo", None]}, "command"),
        ({"command": "true", "env": ["A=1"]}, "env"),
        ({"command": "true", "env": {"A": True}}, "env.A"),
        ({"command": "true", "env": {"a.b": "1"}}, "env"),
        ({"command": "true", "working_dir": 7}, "working_dir"),
        ({"command": "true", "grace_seconds": -1}, "grace_seconds"),
        ({"command": "true", "grace_seconds": "soon"}, "grace_seconds"),
    ],
)
def test_what_cannot_be_a_request_is_refused_with_its_path(
    adapter: process.Process, configuration: Mapping[str, Any], path: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        body_of(adapter, configuration)

    assert refused.value.path == path


def test_the_runner_is_found_where_it_is_installed(adapter: process.Process) -> None:
    body = body_of(adapter, {"command": "sh -c true"})

    argv = launch(body, {}).argv

    assert argv[0] == sys.executable
    assert Path(argv[1]).name == "runner.py"
    assert argv[2] == "--"
    assert Path(argv[3]).is_absolute()
    assert argv[4:] == ("-c", "true")


def test_a_command_in_the_working_directory_is_found_there(adapter: process.Process, tmp_path: Path) -> None:
    (tmp_path / "job").write_text("#!/bin/sh\n")
    (tmp_path / "job").chmod(0o700)
    body = body_of(adapter, {"command": "./job", "working_dir": str(tmp_path), "runner": False})

    assert launch(body, {}).argv == (str(tmp_path / "job"),)


@pytest.mark.parametrize("command", ["no-such-command", "./no-such-file", "exit 3"])
def test_a_command_that_is_not_there_cannot_start(adapter: process.Process, command: str) -> None:
    with pytest.raises(CannotStartError, match="no such command on this machine"):
        launch(body_of(adapter, {"command": command}), {})


def test_settings_of_the_dispatcher_are_not_handed_on(
    adapter: process.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHPOOL_TOKEN_KEYS", "secret")
    monkeypatch.setenv("LANG_OF_THE_LAND", "de")
    body = body_of(adapter, {"command": "true", "env": {"PUSHPOOL_RUN_TOKEN": "forged", "A": "1"}})

    environment = launch(body, {"PUSHPOOL_RUN_TOKEN": "real"}).environment

    assert "PUSHPOOL_TOKEN_KEYS" not in environment
    assert environment["LANG_OF_THE_LAND"] == "de"
    assert environment["A"] == "1"
    assert environment["PUSHPOOL_RUN_TOKEN"] == "real"


def test_the_state_directory_has_to_be_named() -> None:
    with pytest.raises(Misconfigured, match="state_directory"):
        process.open({})


def test_days_are_a_number(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="a week"):
        process.open({"state_directory": str(tmp_path), "log_retention_days": "a week"})


def test_a_renamed_host_keeps_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "before")
    before = process.open({"state_directory": str(tmp_path)}).request(make_job({"command": "true"}))
    monkeypatch.setattr("socket.gethostname", lambda: "after")

    after = process.open({"state_directory": str(tmp_path)}).request(make_job({"command": "true"}))

    assert before.target.account == after.target.account == "before"


@pytest.mark.parametrize(
    ("configuration", "passed"),
    [
        ({"command": "sh -c true"}, True),
        ({"command": "no-such-command"}, False),
        ({"command": "sh", "working_dir": "/no/such/folder"}, False),
        ({}, False),
    ],
)
def test_a_diagnosis_sees_whether_the_command_is_there(
    adapter: process.Process, configuration: Mapping[str, Any], passed: bool
) -> None:
    checks = {name: (good, hint) for name, good, hint in adapter.diagnose(configuration)}

    assert checks["command and working_dir"][0] is passed
    assert bool(checks["command and working_dir"][1]) is not passed
    assert checks["state directory"][0]
