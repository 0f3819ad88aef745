"""Secrets of an installation in Secrets Manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.secrets.secrets_manager import open_secrets
from dispatcher.errors import InvalidInput, Misconfigured, Unreachable
from dispatcher.testing.servers.aws_account import AwsAccount


@pytest.fixture(autouse=True)
def ambient(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_account.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def prefix() -> str:
    return f"pushpool-{uuid4().hex[:8]}"


@pytest.fixture
def keep(aws_account: AwsAccount, prefix: str) -> Iterator[Callable[..., None]]:
    """Puts a secret under the prefix."""
    client = aws_account.client("secretsmanager")
    made: list[str] = []

    def put(name: str, **value: Any) -> None:
        made.append(f"{prefix}/{name}")
        client.create_secret(Name=made[-1], **value)

    yield put
    for each in made:
        client.delete_secret(SecretId=each, ForceDeleteWithoutRecovery=True)


def test_a_secret_is_found_by_its_name_under_the_prefix(prefix: str, keep: Callable[..., None]) -> None:
    keep("secrets/db-password", SecretString="hunter2")

    assert open_secrets(prefix)("secrets/db-password") == "hunter2"


def test_a_value_that_was_changed_is_read_at_once(
    aws_account: AwsAccount, prefix: str, keep: Callable[..., None]
) -> None:
    keep("token-keys", SecretString="old")
    secrets = open_secrets(prefix)
    assert secrets("token-keys") == "old"
    aws_account.client("secretsmanager").put_secret_value(SecretId=f"{prefix}/token-keys", SecretString="new")

    assert secrets("token-keys") == "new"


def test_one_that_is_not_there_says_how_to_give_it_a_value(prefix: str) -> None:
    with pytest.raises(Misconfigured, match=rf"{prefix}/secrets/none is not there, or has no value: `aws "):
        open_secrets(prefix)("secrets/none")


def test_a_binary_one_is_refused(prefix: str, keep: Callable[..., None]) -> None:
    keep("secrets/binary", SecretBinary=b"\x00")

    with pytest.raises(Misconfigured, match="is binary: store it as text"):
        open_secrets(prefix)("secrets/binary")


def test_without_credentials_it_says_so(prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    with pytest.raises(Misconfigured, match="cannot be read without AWS credentials"):
        open_secrets(prefix)("token-keys")


def test_one_that_does_not_answer_may_answer_later(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(Unreachable, match="cannot be read now: EndpointConnectionError"):
        open_secrets(prefix)("token-keys")


def test_one_that_may_not_be_read_says_which_right_is_missing(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.awsrequest import AWSResponse

    secrets = open_secrets(prefix)

    def deny(request: Any, **_: Any) -> AWSResponse:
        body = b'{"__type": "AccessDeniedException", "message": "no"}'
        answer = AWSResponse(request.url, 400, {"x-amzn-requestid": "1"}, None)
        answer._content = body
        return answer

    secrets._client.meta.events.register("before-send.secretsmanager.GetSecretValue", deny)

    with pytest.raises(Misconfigured, match="allow secretsmanager:GetSecretValue on it"):
        secrets("token-keys")


def test_a_prefix_is_needed() -> None:
    with pytest.raises(InvalidInput, match="needs a prefix"):
        open_secrets("/")
