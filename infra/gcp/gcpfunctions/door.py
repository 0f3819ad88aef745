"""Who may push: the named service accounts, as an identity token says that Google made for this function.

Cloud Run asks its own question first: may this caller invoke. Where it does, it has verified the token, and hands it on
without its signature ("Troubleshoot Cloud Run issues", #signature-removed). A token without one is believed only if the
installation says that it is so (PUSHPOOL_OIDC_SIGNATURE=cloud-run); what it claims is judged all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from google.auth import exceptions, jwt

from dispatcher.errors import Forbidden, Misconfigured, Unauthorized
from dispatcher.settings import Senders
from gcpfunctions.certificates import GOOGLE, Certificates

ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
CLOCK_SKEW_SECONDS = 10

# Whatever is wrong with a token: google-auth reads it before it knows what it is.
_UNREADABLE = (exceptions.GoogleAuthError, ValueError, TypeError, KeyError, AttributeError)


class Door:
    """Lets in who `senders` says."""

    def __init__(self, senders: Senders, *, now: Callable[[], float] = time.time) -> None:
        self._senders, self._now = senders, now
        self._certificates = Certificates(senders.certs_url or GOOGLE, now=now)

    def check(self, headers: Mapping[str, str]) -> None:
        """Names in lower case.

        :raises Unauthorized: no token, or none that Google made for this function, or it is over.
        :raises Forbidden: another account's. :raises Unreachable: Google's certificates cannot be had.
        :raises Misconfigured: nothing is said of who may push.
        """
        if not (self._senders.audience and self._senders.accounts):
            names = "PUSHPOOL_OIDC_AUDIENCE and PUSHPOOL_OIDC_ACCOUNTS"
            raise Misconfigured(f"{names} must be set: they say whose pushes are let in; Terraform's module sets them")
        self._judge(self._claims(self._token(headers)))

    def _token(self, headers: Mapping[str, str]) -> str:
        said = headers.get("authorization", "")
        if self._senders.signatures_removed:
            # Of two, Cloud Run has checked this one alone ("Service-to-service authentication").
            said = headers.get("x-serverless-authorization", said)
        scheme, _, token = said.strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("no identity token came with it; the sender needs an OIDC token of its service account")
        return token.strip()

    def _claims(self, token: str) -> Mapping[str, Any]:
        if token.endswith(f".{REMOVED}") and not self._senders.signatures_removed:
            raise Unauthorized("its signature was removed by Cloud Run: set PUSHPOOL_OIDC_SIGNATURE=cloud-run")
        try:
            if token.endswith(f".{REMOVED}"):
                claims: Mapping[str, Any] = jwt.decode(token, verify=False)
            else:
                certs = self._certificates.of(jwt.decode_header(token).get("kid"))
                claims = jwt.decode(token, certs=certs, clock_skew_in_seconds=CLOCK_SKEW_SECONDS)
            if not claims["exp"] + CLOCK_SKEW_SECONDS > self._now():
                raise Unauthorized("its identity token is over")
        except _UNREADABLE as exc:
            raise Unauthorized(f"its identity token is none of Google's that is good: {exc}") from exc
        return claims

    def _judge(self, claims: Mapping[str, Any]) -> None:
        issuer, audience, email = (claims.get(name) for name in ("iss", "aud", "email"))
        if issuer not in ISSUERS:
            raise Unauthorized(f"its identity token is made by {issuer!r}, not by Google")
        if audience != self._senders.audience:
            wanted = self._senders.audience
            raise Unauthorized(f"its identity token is for {audience!r}; PUSHPOOL_OIDC_AUDIENCE is {wanted!r}")
        if claims.get("email_verified") is not True or email not in self._senders.accounts:
            raise Forbidden(f"it is sent by {email!r}, whom PUSHPOOL_OIDC_ACCOUNTS does not name")
