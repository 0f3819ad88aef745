"""Terraform, an account for it to work on, and a package to deploy."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from dispatcher.testing.servers.ministack import client_environment, ministack
from dispatcher.testing.servers.processes import Missing
from dispatcher.testing.terraform import (
    ACROSS,
    AZURE_MODULE,
    EXAMPLE,
    GOOGLE_EXAMPLE,
    GOOGLE_TO_OTHERS,
    Terraform,
    terraform,
)

# Answers as the real handlers do where they have nothing to do.
_HANDLERS = """
def api(event, context):
    return {"statusCode": 200, "body": "placeholder"}
def dispatch(event, context):
    return {"batchItemFailures": []} if "Records" in event else None
def events(event, context):
    return None
"""


@pytest.fixture(scope="session", name="terraform")
def on_aws(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return _terraform(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """With Google's own provider, where a mirror has it, or with its stand-in: for what makes nothing."""
    return _terraform(tmp_path_factory.mktemp("google"), GOOGLE_EXAMPLE)


@pytest.fixture(scope="session")
def google_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """With the stand-in, on which what is applied is in the state alone."""
    return _terraform(tmp_path_factory.mktemp("stand_in"), GOOGLE_EXAMPLE, stand_in=True)


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """With Azure's own provider, where a mirror has it, or with its stand-in: for what makes nothing."""
    return _terraform(tmp_path_factory.mktemp("azure"), AZURE_MODULE)


@pytest.fixture(scope="session")
def google_to_others(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """With the stand-ins for Google's and Azure's providers."""
    return _terraform(tmp_path_factory.mktemp("to_others"), GOOGLE_TO_OTHERS, stand_in=True)


@pytest.fixture(scope="session")
def across_clouds(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """With the providers of all clouds, and across_clouds.tf."""
    configuration = Path(__file__).with_name("across_clouds.tf").read_text(encoding="utf-8")
    return _terraform(tmp_path_factory.mktemp("across"), ACROSS, configuration=configuration)


def _terraform(
    folder: Path, where: str = EXAMPLE, *, stand_in: bool = False, configuration: str | None = None
) -> Terraform:
    try:
        return terraform(folder, where, stand_in=stand_in, configuration=configuration)
    except Missing as exc:
        _do_without(exc)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "pushpool-aws-python3.11-x86_64.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("app.py", _HANDLERS)
    return path


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[dict[str, str]]:
    """The environment of an account without an engine, and of the example applied to it for trying out."""
    with ExitStack() as started:
        try:
            endpoint = started.enter_context(ministack(tmp_path_factory.mktemp("aws")))
        except Missing as exc:
            _do_without(exc)
        environment = client_environment(endpoint)
        yield {
            **environment,
            "TF_VAR_region": environment["AWS_REGION"],
            "TF_VAR_package": str(package),
            "TF_VAR_keep_data": "false",
        }


def _do_without(missing: Missing) -> NoReturn:
    """On a laptop the test is skipped, with the hint; in CI it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing))
    pytest.skip(str(missing))
