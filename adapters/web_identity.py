"""Credentials of AWS for who runs on Google Cloud: a role there that trusts a service account here. No key is stored.

Google signs who the service account is (metadata server, "Fetching identity and access tokens"), and AWS gives an
hour's credentials for it (API AssumeRoleWithWebIdentity).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore import exceptions
from botocore.credentials import (
    AssumeRoleWithWebIdentityCredentialFetcher,
    CredentialProvider,
    DeferredRefreshableCredentials,
)

from adapters import google

OPERATION = "AssumeRoleWithWebIdentity"
SESSION_NAME = "pushpool"  # what CloudTrail shows
# Where no region is told: STS is on in this one, whatever an account has turned off.
_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Role:
    """Which role is taken on. `audience`: what the role's trust policy expects the identity to be meant for."""

    arn: str
    audience: str


class WebIdentity(CredentialProvider):  # type: ignore[misc]  # botocore has no types
    """Tells a botocore session such credentials; they are fetched on first use, and again before they expire."""

    METHOD = CANONICAL_NAME = "custom-google-identity"

    def __init__(self, session: Any, role: Role) -> None:
        super().__init__(session)
        self._session: Any = session
        self._role = role

    def load(self) -> Any:
        """Called by botocore."""
        region = self._session.get_config_variable("region") or _REGION
        fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
            client_creator=partial(self._session.create_client, region_name=region),
            web_identity_token_loader=self._identity,
            role_arn=self._role.arn,
            extra_args={"RoleSessionName": SESSION_NAME},
        )
        return DeferredRefreshableCredentials(method=self.METHOD, refresh_using=fetcher.fetch_credentials)

    def _identity(self) -> str:
        try:
            return google.identity_token(self._role.audience)
        except google.ERRORS as exc:
            raise exceptions.CredentialRetrievalError(
                provider="Google Cloud's metadata server", error_msg=str(google.failure(exc))
            ) from exc


def use(session: Any, role: Role) -> None:
    """From now on that botocore session's clients act in that role, whatever else it would find."""
    session.get_component("credential_provider").insert_before("env", WebIdentity(session, role))
