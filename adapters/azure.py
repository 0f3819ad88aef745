"""Azure for every adapter that speaks to it: credentials, clients of its Resource Manager, and its errors in our words.

Invariant: nobody else makes credentials, or reads the client libraries' exceptions.

Credentials are the ambient ones (azure-identity's DefaultAzureCredential, without what asks a person), or those of the
application PUSHPOOL_AZURE_CLIENT_ID in PUSHPOOL_AZURE_TENANT_ID, for which PUSHPOOL_AZURE_FEDERATION signs: `aws` or
`google`, whichever the dispatcher runs on. No key is stored for it. PUSHPOOL_AZURE_EMULATOR, as in 127.0.0.1:8086,
leads every client there, in plain text.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar

from azure.core import exceptions
from azure.core.credentials import AccessToken, TokenCredential

from adapters.failures import Failure, Trouble, one_line
from dispatcher.errors import Misconfigured

# What can come out of a call; a tuple, as `except` wants it.
ERRORS = (exceptions.AzureError,)

ClientT = TypeVar("ClientT")

_TENANT, _CLIENT, _FEDERATION = "PUSHPOOL_AZURE_TENANT_ID", "PUSHPOOL_AZURE_CLIENT_ID", "PUSHPOOL_AZURE_FEDERATION"
_EMULATOR = "PUSHPOOL_AZURE_EMULATOR"
_SCOPE = "https://management.azure.com/.default"
_AUDIENCE = "api://AzureADTokenExchange"  # of the assertion ("Workload identity federation")
_ASSERTION_SECONDS = 300
_TOKEN_SECONDS: Mapping[str, Any] = {"connection_timeout": 3, "read_timeout": 5, "retry_total": 0}
_DEVELOPERS_OWN = ("broker", "developer_cli", "interactive_browser", "powershell", "shared_token_cache")
_LONGEST_MESSAGE = 700

NO_CREDENTIALS = "NoCredentials"  # the code of a failure
_NONE_FOUND = (
    f"no credentials for Azure: `az login` on your own machine, or set AZURE_… or {_TENANT}, {_CLIENT} and "
    f"{_FEDERATION}"
)


class NoToken(exceptions.AzureError):
    """No token was to be had, so the call was not made."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def client(kind: Callable[..., ClientT], subscription: str) -> ClientT:
    """A thread-safe client of one of Azure's management libraries.

    It makes each call once: it has no policy that repeats, redirects, logs or registers resource providers.

    :raises Misconfigured: no credentials, or some that cannot be used.
    """
    return kind(credentials(), subscription, base_url(), policies=_policies(), authentication_policy=_authentication())


def resources() -> Any:
    """A client of the Resource Manager for what no library is at hand. :raises Misconfigured: as `client` does."""
    from azure.core import PipelineClient

    made: Any = PipelineClient(base_url(), policies=_policies())
    return made


def base_url() -> str:
    emulator = os.environ.get(_EMULATOR)
    return f"http://{emulator}" if emulator else "https://management.azure.com"


def subscription() -> str:
    """The ambient one; "" if there is none."""
    return os.environ.get("AZURE_SUBSCRIPTION_ID", "")


def tenant() -> str:
    """As far as the environment tells it; "" if it does not."""
    return os.environ.get(_TENANT) or os.environ.get("AZURE_TENANT_ID", "")


def principal() -> str:
    """Whom the credentials speak for, as far as the environment tells it; "" if it does not."""
    return os.environ.get(_CLIENT) or os.environ.get("AZURE_CLIENT_ID", "")


def credentials() -> TokenCredential:
    """:raises Misconfigured: there are none, or some that cannot be used."""
    return _found(*(os.environ.get(name, "") for name in (_EMULATOR, _TENANT, _CLIENT, _FEDERATION)))


@lru_cache(maxsize=1)
def _found(emulator: str, tenant: str, client_id: str, federation: str) -> TokenCredential:
    """One for all clients of one environment, so that its token is fetched once."""
    if emulator:
        return _Local()
    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # of what it tries in vain the failure tells, and once
    try:
        return _Guarded(_federated(tenant, client_id, federation) if federation or client_id else _ambient())
    except (ValueError, OSError) as exc:
        way_out = "check what AZURE_… and PUSHPOOL_AZURE_… are set to"
        raise Misconfigured(f"Azure: no credentials that can be used ({one_line(exc)}); {way_out}") from exc


def _ambient() -> TokenCredential:
    from azure.identity import DefaultAzureCredential

    left_out = {f"exclude_{name}_credential": True for name in (*_DEVELOPERS_OWN, "visual_studio_code")}
    return _Ambient(DefaultAzureCredential(**left_out))


class _Ambient:
    """The first of a chain that has a token; that none has anything to go by is not the same as a no."""

    def __init__(self, chain: Any) -> None:
        self._chain = chain

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """:raises NoToken: there is nobody to speak for."""
        try:
            found: AccessToken = self._chain.get_token(*scopes, **options)
        except exceptions.ClientAuthenticationError as exc:
            if self._was_refused(exc.message):
                raise
            raise NoToken(Failure(Trouble.CREDENTIALS, NO_CREDENTIALS, _NONE_FOUND)) from exc
        return found

    def _was_refused(self, tried: str) -> bool:
        """Whether the chain ended at one, which names those that it has tried, a line each; AADSTS… is Entra's no."""
        return "AADSTS" in tried or tried.count("\n\t") < len(self._chain.credentials)


def _federated(tenant: str, client_id: str, federation: str) -> TokenCredential:
    """Of an application or a managed identity that trusts the other cloud's signature, never of a stored key."""
    from azure.identity import ClientAssertionCredential

    signs = {"aws": _signed_by_aws, "google": _signed_by_google}.get(federation)
    if signs is None:
        raise Misconfigured(f"{_FEDERATION} is {federation!r}: write aws or google, which signs for {_CLIENT}")
    for name, value in ((_TENANT, tenant), (_CLIENT, client_id)):
        if not value:
            raise Misconfigured(f"{_FEDERATION} is {federation}, and {name} is not set: see Terraform's pool module")
    return ClientAssertionCredential(tenant, client_id, signs, **_TOKEN_SECONDS)


def _signed_by_aws() -> str:
    """Who the dispatcher's role is, signed by its account (STS GetWebIdentityToken; a regional endpoint has it)."""
    from adapters import aws

    try:
        sts = aws.client("sts", read_seconds=5)
        said = sts.get_web_identity_token(
            Audience=[_AUDIENCE], DurationSeconds=_ASSERTION_SECONDS, SigningAlgorithm="RS256"
        )
    except aws.ERRORS as exc:
        failure = aws.failure(exc)
        way_out = "turn on outbound identity federation in the account, and allow the role sts:GetWebIdentityToken"
        raise NoToken(_unsigned(failure, f"AWS did not sign: {failure}; {way_out}")) from exc
    return str(said["WebIdentityToken"])


def _signed_by_google() -> str:
    from adapters import google

    try:
        return google.identity_token(_AUDIENCE)
    except google.ERRORS as exc:
        failure = google.failure(exc)
        raise NoToken(_unsigned(failure, f"Google did not sign: {failure}")) from exc


def _unsigned(failure: Failure, message: str) -> Failure:
    passes = failure.trouble in (Trouble.THROTTLED, Trouble.NOT_SENT, Trouble.NO_ANSWER)
    return Failure(Trouble.NOT_SENT if passes else Trouble.CREDENTIALS, failure.code, message)


class _Local:
    """For a control plane on this machine."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        del scopes, options
        return AccessToken("local", 2**31)


class _Guarded:
    """Tokens one thread at a time, for the others find them then; what goes wrong is no failure of the call."""

    def __init__(self, inner: TokenCredential) -> None:
        self._inner, self._lock = inner, Lock()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """:raises NoToken:"""
        try:
            with self._lock:
                return self._inner.get_token(*scopes, **options)
        except NoToken:
            raise
        except (exceptions.AzureError, ValueError, OSError) as exc:
            raise NoToken(_untold(exc)) from exc


def _untold(exc: Exception) -> Failure:
    """Of who hands out tokens: not reached, busy, or no. What is no error of theirs is about a file or a setting."""
    status = getattr(exc, "status_code", None) or 0
    answered = isinstance(exc, exceptions.HttpResponseError) and status < 500 and status != 429
    passes = isinstance(exc, exceptions.AzureError) and not answered
    trouble = Trouble.NOT_SENT if passes else Trouble.CREDENTIALS
    return Failure(trouble, type(exc).__name__, _words(str(exc))[:_LONGEST_MESSAGE])


def _authentication() -> Any:
    if os.environ.get(_EMULATOR):
        from azure.core.pipeline.policies import HeadersPolicy

        return HeadersPolicy({"Authorization": "Bearer local"})  # a bearer policy refuses plain text
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

    return ARMChallengeAuthenticationPolicy(credentials(), _SCOPE)


def _policies() -> list[Any]:
    from azure.core.pipeline.policies import ContentDecodePolicy, RequestIdPolicy, UserAgentPolicy

    return [RequestIdPolicy(), UserAgentPolicy("pushpool"), ContentDecodePolicy(), _authentication()]


def failure(exc: BaseException) -> Failure:
    """What a caught one of `ERRORS` tells. `answer`: its `status`, and `retry_after` in seconds if it says so."""
    if isinstance(exc, NoToken):
        return exc.failure
    if isinstance(exc, exceptions.HttpResponseError) and exc.status_code:
        return _of_answer(exc, exc.status_code)
    return Failure(_unanswered(exc), type(exc).__name__, _words(str(exc))[:_LONGEST_MESSAGE])


def _unanswered(exc: BaseException) -> Trouble:
    """ServiceRequestError says "no request was sent", and azure-core raises it for an answer that broke off, too."""
    if isinstance(exc, exceptions.ServiceRequestTimeoutError):
        return Trouble.NOT_SENT  # no connection in time
    if isinstance(exc, exceptions.ServiceRequestError):
        inner = type(exc.inner_exception).__name__
        unsent = inner in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")
        return Trouble.NOT_SENT if unsent or "CERTIFICATE_VERIFY_FAILED" in str(exc) else Trouble.NO_ANSWER
    return Trouble.NO_ANSWER


def _of_answer(exc: exceptions.HttpResponseError, status: int) -> Failure:
    said = [*_said(exc.error)] if exc.error is not None else []
    code = next((code for code, _ in said if code), str(status))
    messages = list(dict.fromkeys(message for _, message in said if message)) or [_words(exc.message)]
    answer: dict[str, Any] = {"status": status, "codes": [code for code, _ in said if code]}
    if (seconds := _retry_after(exc)) is not None:
        answer["retry_after"] = seconds
    return Failure(_trouble(status), code, "; ".join(messages)[:_LONGEST_MESSAGE], answer)


def _said(error: Any) -> Iterator[tuple[str, str]]:
    """Code and message, the outermost first; what an inner one adds is often all that tells."""
    yield str(error.code or ""), _words(error.message or "")
    for detail in error.details or ():
        yield from _said(detail)


def _words(message: str) -> str:
    """As what more words can follow."""
    return one_line(message).rstrip(".")


def _retry_after(exc: exceptions.HttpResponseError) -> float | None:
    headers = getattr(exc.response, "headers", None) or {}
    told = str(headers.get("Retry-After") or "")
    return float(told) if told.replace(".", "", 1).isdecimal() else None


def _trouble(status: int) -> Trouble:
    match status:
        case 429:
            return Trouble.THROTTLED
        case 401:
            return Trouble.CREDENTIALS
        case 403:
            return Trouble.DENIED
        case 408:
            return Trouble.NO_ANSWER
        case _ if 400 <= status < 500:
            return Trouble.REFUSED
        case _:
            return Trouble.NO_ANSWER
