"""`apply`, `template`, `doctor` and `api-key`, against the API in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dispatcher.testing.servers.azure import AzureApi, azure

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Shell

SECRETS = """
work_pools:
  local:
    type: process
    base_job_template:
      job_configuration: {command: "{{ command }}", env: {TOKEN: "{{ token }}", PLAIN: "{{ plain }}"}}
      variables:
        properties:
          command: {type: string}
          plain: {type: string}
          token: {type: string, x-secret: true}
deployments:
  d: {pool: local, command: echo hello, job_variables: {token: hunter2}}
"""


@pytest.fixture
def azure_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureApi]:
    with azure(tmp_path / "azure") as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def test_apply_shows_its_plan_does_it_and_then_has_nothing_to_do(shell: Shell) -> None:
    """--dry-run shows it alone."""
    Path("pushpool.yaml").write_text(shell.file)

    assert "+ deployment 'nightly': create" in shell.ok("apply", "--dry-run")
    assert shell.json("work-pool", "ls") == []
    assert "4 to create, 0 unchanged" in shell.ok("apply")
    assert shell.ok("apply").splitlines()[-1] == "nothing to do, 4 unchanged"
    Path("pushpool.yaml").write_text(shell.file.replace("concurrency_limit: 4", "concurrency_limit: 5"))
    assert "    concurrency_limit: 4 → 5" in shell.ok("apply")


def test_apply_prunes_when_told(shell: Shell) -> None:
    """And says what as JSON."""
    shell.applied()
    Path("pushpool.yaml").write_text(shell.file.replace('  adhoc: {pool: local, command: "true"}\n', ""))

    found = shell.json("apply", "--prune", "--yes")

    assert [step["name"] for step in found["steps"] if step["action"] == "delete"] == ["adhoc"]
    assert [each["name"] for each in shell.json("deployment", "ls")] == ["nightly"]


def test_a_file_with_mistakes_changes_nothing_and_each_is_a_line(shell: Shell) -> None:
    """With its place."""
    Path("pushpool.yaml").write_text(
        shell.file.replace("type: process", "type: proces").replace("0 3 * * *", "61 * * * *")
    )

    result = shell.run("apply")

    assert result.exit_code == 1
    assert [line.split(": ", 2)[1] for line in result.stderr.splitlines()] == [
        "pushpool.yaml:4:5",
        "pushpool.yaml:14:31",
    ]
    assert shell.json("work-pool", "ls") == []
    assert "there is no such file" in shell.error("apply", "-f", "nowhere.yaml")


def test_what_the_server_refuses_is_told_at_its_line(shell: Shell) -> None:
    """Here a type that changes, which only the server can know."""
    shell.applied()
    Path("more.yaml").write_text("deployments:\n  more: {pool: local, command: x, parameters: {a: 1}, queue: high}\n")
    Path("wrong.yaml").write_text("deployments:\n  more: {pool: lokal}\n")

    shell.ok("apply", "-f", "more.yaml")

    error = shell.error("apply", "-f", "wrong.yaml")
    assert error.startswith("error: wrong.yaml:2:10: deployment 'more': work pool 'lokal' is neither in this file")


def test_the_request_of_a_deployment_is_shown_without_secrets(shell: Shell) -> None:
    """As it would be sent, with stars in their place."""
    Path("pushpool.yaml").write_text(SECRETS)
    shell.ok("apply")

    shown = shell.ok("template", "render", "d", "-jv", "plain=seen")

    assert "hunter2" not in shown
    assert "********" in str(json.loads(shown)["request"]["env"]["TOKEN"])
    assert json.loads(shown)["request"]["env"]["PLAIN"] == "seen"
    assert "PUSHPOOL_RUN_TOKEN" not in shown
    assert "does not exist" in shell.error("template", "render", "nobody")


def test_a_template_of_prefect_is_taken_in(shell: Shell) -> None:
    """What was taken out of it is told on stderr."""
    block = {"$ref": {"block_document_id": "2a3f1a0c-0000-4000-8000-000000000000"}}
    exported = {
        "job_configuration": {"command": "{{ command }}", "aws_credentials": "{{ aws_credentials }}"},
        "variables": {"properties": {"command": {"type": "string"}, "aws_credentials": {"default": block}}},
    }
    Path("exported.json").write_text(json.dumps({"name": "p", "base_job_template": exported}))

    result = shell.run("template", "import", "exported.json")
    shell.ok("template", "import", "exported.json", "-o", "template.json")

    assert "note: " in result.stderr
    assert "aws_credentials" not in result.stdout
    assert json.loads(result.stdout) == json.loads(Path("template.json").read_text())
    shell.ok("work-pool", "create", "p", "-t", "process", "--base-job-template", "template.json")
    Path("exported.json").write_text("{}")
    assert shell.error("template", "import", "exported.json").startswith("error: ")


def test_doctor_tells_what_is_amiss(shell: Shell) -> None:
    """Exit 1 if one check fails, and what to do about it."""
    shell.applied()
    assert {each["passed"] for each in shell.json("doctor", "local")} == {True}

    Path("pushpool.yaml").write_text(
        "work_pools: {broken: {type: process, variables: {working_dir: /nowhere, command: 'true'}}}"
    )
    shell.ok("apply")
    result = shell.run("doctor")
    assert result.exit_code == 1
    assert "failed" in result.stdout
    assert "/nowhere" in result.stdout


def test_doctor_shows_what_it_could_not_check_as_such(shell: Shell, azure_api: AzureApi) -> None:
    """And does not fail for it."""
    Path("pushpool.yaml").write_text(
        "work_pools: {aci: {type: 'azure-container-instance:push', variables: {resource_group_name: pushpool}}}"
    )
    shell.ok("apply")
    azure_api.fail_next("denied", call="ListUsages")

    shown = shell.ok("doctor", "aci")

    (row,) = (line for line in shown.splitlines() if "quota in" in line)
    assert "not checked" in row
    assert "not checked:" not in row
    assert "AuthorizationFailed" in row
    assert "passed" not in row


def test_api_keys_are_made_listed_and_revoked(shell: Shell) -> None:
    """The key itself is shown once."""
    made = shell.json("api-key", "create", "ci", "--scope", "read", "--expires-in", "90 days")

    assert made["key"].startswith("pp_")
    assert made["key"] not in shell.ok("api-key", "ls", "--json")
    assert {each["name"] for each in shell.json("api-key", "ls")} == {"ci"}
    assert shell.json("api-key", "revoke", made["id"])["revoked"] is not None
    assert "does not exist" in shell.error("api-key", "revoke", "nope")
