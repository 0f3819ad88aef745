"""Secrets in AWS Secrets Manager: those whose names begin with the installation's prefix and a slash.

Nothing of a value is ever logged or said in an error.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from adapters import aws
from adapters.failures import Failure, Trouble
from dispatcher.errors import InvalidInput, Misconfigured, SecretsUnavailable, Unreachable


class SecretsManager:
    """Looks values up, each time anew. The client is made on first use."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @cached_property
    def _client(self) -> Any:
        return aws.client("secretsmanager", attempts=3, read_seconds=5)

    def __call__(self, name: str) -> str:
        """The secret's current text.

        :raises Misconfigured: there is none, or it is binary. :raises SecretsUnavailable: it may not be read.
        :raises Unreachable: no answer.
        """
        secret_id = f"{self._prefix}/{name}"
        try:
            value = self._client.get_secret_value(SecretId=secret_id).get("SecretString")
        except aws.ERRORS as exc:
            raise _translated(aws.failure(exc), secret_id) from exc
        if not isinstance(value, str):
            raise Misconfigured(f"secret {secret_id} is binary: store it as text")
        return value


def _translated(failure: Failure, secret_id: str) -> Misconfigured | Unreachable:
    if failure.code == "ResourceNotFoundException":
        return Misconfigured(
            f"secret {secret_id} is not there, or has no value: `aws secretsmanager create-secret --name {secret_id}` "
            f"makes it, `aws secretsmanager put-secret-value --secret-id {secret_id}` gives it one"
        )
    match failure.trouble:
        case Trouble.THROTTLED | Trouble.NOT_SENT | Trouble.NO_ANSWER:
            return Unreachable(f"secret {secret_id} cannot be read now: {failure.code}")
        case Trouble.CREDENTIALS:
            return SecretsUnavailable(f"secret {secret_id} cannot be read without AWS credentials: {failure.code}")
        case Trouble.DENIED | Trouble.REFUSED:
            return SecretsUnavailable(f"secret {secret_id} may not be read: allow secretsmanager:GetSecretValue on it")


def open_secrets(prefix: str) -> SecretsManager:
    """`prefix` as in `secretsmanager://pushpool`, whose secrets are `pushpool/…`."""
    if not prefix.strip("/"):
        raise InvalidInput("secretsmanager:// needs a prefix, as in secretsmanager://pushpool")
    return SecretsManager(prefix.strip("/"))
