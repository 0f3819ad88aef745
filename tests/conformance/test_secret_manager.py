"""Secrets of an installation in Secret Manager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.secrets.secret_manager import open_secrets
from dispatcher.errors import InvalidInput, Misconfigured, SecretsUnavailable, Unreachable
from dispatcher.testing.servers.google.project import GoogleProject, google_project


@pytest.fixture(scope="module")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleProject]:
    with google_project(tmp_path_factory.mktemp("google")) as made:
        yield made


@pytest.fixture(autouse=True)
def ambient(google_cloud: GoogleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in google_cloud.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def prefix() -> str:
    return f"pushpool-{uuid4().hex[:8]}"


def test_a_secret_is_found_by_its_name_under_the_prefix(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.put_secret(f"{prefix}-secrets-db-password", "hunter2")

    assert open_secrets(f"{google_cloud.id}/{prefix}")("secrets/db-password") == "hunter2"


def test_without_a_project_it_is_the_ambient_one(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.put_secret(f"{prefix}-token-keys", "keys")

    assert open_secrets(f"/{prefix}")("token-keys") == "keys"


def test_a_value_that_was_changed_is_read_at_once(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.put_secret(f"{prefix}-token-keys", "old")
    secrets = open_secrets(f"/{prefix}")
    assert secrets("token-keys") == "old"
    google_cloud.put_secret(f"{prefix}-token-keys", "new")

    assert secrets("token-keys") == "new"


def test_one_that_is_not_there_says_how_to_give_it_a_value(prefix: str) -> None:
    with pytest.raises(Misconfigured, match=rf"`gcloud secrets create {prefix}-secrets-none --data-file - --project"):
        open_secrets(f"/{prefix}")("secrets/none")


def test_one_without_a_version_is_as_if_it_were_not_there(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.secrets.create(f"projects/{google_cloud.id}/secrets/{prefix}-token-keys")

    with pytest.raises(Misconfigured, match="is not there or has no version"):
        open_secrets(f"/{prefix}")("token-keys")


def test_a_disabled_version_says_where_to_look(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.put_secret(f"{prefix}-token-keys", "keys")
    google_cloud.secrets.set_state(f"projects/{google_cloud.id}/secrets/{prefix}-token-keys/versions/1", "DISABLED")

    with pytest.raises(Misconfigured, match="is disabled or destroyed; `gcloud secrets versions list"):
        open_secrets(f"/{prefix}")("token-keys")


def test_a_binary_one_is_refused(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.put_secret(f"{prefix}-secrets-binary", b"\xff")

    with pytest.raises(Misconfigured, match="is binary: store it as text"):
        open_secrets(f"/{prefix}")("secrets/binary")


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [("denied", r"allow secretmanager\.versions\.access"), ("disabled", "gcloud services enable secretmanager")],
)
def test_one_that_may_not_be_read_says_what_is_missing(
    google_cloud: GoogleProject, prefix: str, kind: str, way_out: str
) -> None:
    google_cloud.secrets.fail_next(kind)

    with pytest.raises(SecretsUnavailable, match=way_out):
        open_secrets(f"/{prefix}")("token-keys")


def test_one_that_does_not_answer_at_first_is_asked_again(google_cloud: GoogleProject, prefix: str) -> None:
    google_cloud.put_secret(f"{prefix}-token-keys", "keys")
    google_cloud.secrets.fail_next("timeout")

    assert open_secrets(f"/{prefix}")("token-keys") == "keys"


def test_one_that_does_not_answer_may_answer_later(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHPOOL_GOOGLE_EMULATOR", "127.0.0.1:9")

    with pytest.raises(Unreachable, match="cannot be read now: UNAVAILABLE"):
        open_secrets(f"/{prefix}")("token-keys")


def test_without_credentials_it_says_so(prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PUSHPOOL_GOOGLE_EMULATOR")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))

    with pytest.raises(Misconfigured, match="no credentials that can be used"):
        open_secrets(f"/{prefix}")("token-keys")


@pytest.mark.parametrize("address", ["", "p", "p/", "p/a b", "p/a/b"])
def test_a_prefix_is_needed(address: str) -> None:
    with pytest.raises(InvalidInput, match="PUSHPOOL_SECRETS is secretmanager://PROJECT/PREFIX"):
        open_secrets(address)


@pytest.mark.parametrize("prefix", ["pushpool-secrets", "pushpool-secrets-x"])
def test_a_prefix_that_reads_as_anothers_job_secrets_is_refused(prefix: str) -> None:
    """Or a job of `pushpool` could name the secret `token-keys` of `pushpool-secrets`."""
    with pytest.raises(InvalidInput, match="may not end in or hold '-secrets-'"):
        open_secrets(f"p/{prefix}")
