"""Secrets of an installation in Google Cloud's Secret Manager.

Its names have no slash ("Create a secret": letters, digits, `-` and `_`), so that `secrets/db-password` under the
prefix `pushpool` is `pushpool-secrets-db-password`.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from adapters import google
from adapters.failures import Failure, Trouble
from dispatcher.errors import InvalidInput, Misconfigured, SecretsUnavailable, Unreachable

ENDPOINT = "secretmanager.googleapis.com"
CALL_SECONDS = 5.0
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,100}")


class SecretManager:
    """Looks the latest versions up, each time anew. The client is made on first use."""

    def __init__(self, project: str, prefix: str) -> None:
        self._project, self._prefix = project, prefix

    @cached_property
    def _client(self) -> Any:
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient

        return google.client(SecretManagerServiceClient, endpoint=ENDPOINT)

    def __call__(self, name: str) -> str:
        """The secret's current text.

        :raises Misconfigured: there is none, or it is binary. :raises SecretsUnavailable: it may not be read.
        :raises Unreachable: no answer.
        """
        secret = f"{self._prefix}-{name.replace('/', '-')}"
        request = {"name": f"projects/{self._project}/secrets/{secret}/versions/latest"}
        try:
            found = google.repeated(
                lambda: self._client.access_secret_version(request, retry=None, timeout=CALL_SECONDS)
            )
        except google.ERRORS as exc:
            raise _translated(google.failure(exc), secret, self._project) from exc
        try:
            return bytes(found.payload.data).decode()
        except UnicodeDecodeError as exc:
            raise Misconfigured(f"secret {secret} is binary: store it as text") from exc


def _translated(failure: Failure, secret: str, project: str) -> Misconfigured | Unreachable:
    where = f"--project {project}"
    if failure.code == "NOT_FOUND":  # the secret, or any version of it
        made = f"`gcloud secrets create {secret} --data-file - {where}` makes it"
        return Misconfigured(f"secret {secret} is not there or has no version: {made}")
    if failure.code == "FAILED_PRECONDITION":  # "Secret Version […] is in DISABLED state."
        way_out = f"`gcloud secrets versions list {secret} {where}` shows it; enable it, or add another"
        return Misconfigured(f"secret {secret}: its latest version is disabled or destroyed; {way_out}")
    match failure.trouble:
        case Trouble.THROTTLED | Trouble.NOT_SENT | Trouble.NO_ANSWER:
            return Unreachable(f"secret {secret} cannot be read now: {failure.code}")
        case Trouble.CREDENTIALS:
            return SecretsUnavailable(
                f"secret {secret} cannot be read without Google Cloud credentials: {failure.code}"
            )
        case Trouble.DENIED | Trouble.REFUSED:
            return SecretsUnavailable(_denied(failure, secret, project))


def _denied(failure: Failure, secret: str, project: str) -> str:
    if failure.answer.get("reason") == "SERVICE_DISABLED":
        return (
            f"secret {secret} cannot be read: `gcloud services enable {ENDPOINT} --project {project}` turns the API on"
        )
    right = "secretmanager.versions.access (roles/secretmanager.secretAccessor)"
    return f"secret {secret} may not be read: allow {right} on it"


def open_secrets(address: str) -> SecretManager:
    """`address` as in `secretmanager://PROJECT/pushpool`, whose secrets are `pushpool-…`; no project is the ambient."""
    project, _, prefix = address.partition("/")
    project = project or google.project()
    if not project or not _PREFIX.fullmatch(prefix):
        raise InvalidInput(
            f"secretmanager://{address} names no secrets; PUSHPOOL_SECRETS is secretmanager://PROJECT/PREFIX"
        )
    if re.search(r"-secrets(-|$)", prefix):
        # Its keys would be another installation's job secrets: PREFIX-secrets-token-keys is read both ways.
        raise InvalidInput(f"prefix {prefix!r} of secrets may not end in or hold '-secrets-'; take another")
    return SecretManager(project, prefix)
