"""AWS for every adapter that speaks to it: clients as they are wanted here, and botocore's errors in our words.

Invariant: nobody else makes credentials or a client, or reads botocore's exceptions.

Credentials are the ambient ones; on Google Cloud those of the role that PUSHPOOL_AWS_ROLE_ARN names, for an identity
that is meant for PUSHPOOL_AWS_AUDIENCE.
"""

from __future__ import annotations

import os
from functools import lru_cache
from threading import Lock
from typing import Any

from boto3.session import Session
from botocore import exceptions
from botocore.config import Config

from adapters.failures import Failure, Trouble, one_line
from dispatcher.errors import Misconfigured

# What can come out of a call; a tuple, as `except` wants it.
ERRORS = (exceptions.ClientError, exceptions.BotoCoreError)

_ROLE, _AUDIENCE = "PUSHPOOL_AWS_ROLE_ARN", "PUSHPOOL_AWS_AUDIENCE"

# botocore's own list (`retries/standard.py`, ThrottledRetryableChecker) and what RunTask and DynamoDB say besides.
_THROTTLES = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException",
        "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
        "RequestLimitExceeded", "BandwidthLimitExceeded", "RequestThrottled", "SlowDown",
        "PriorRequestNotComplete", "EC2ThrottledException", "ThroughputExceeded",
    }
)  # fmt: skip
_CREDENTIALS = frozenset(
    {
        "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId",
        "UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
        "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
        "InvalidAccessKeyId", "AuthFailure",
    }
)  # fmt: skip
_DENIALS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
_LOCAL_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.UnauthorizedSSOTokenError,
    exceptions.SSOTokenLoadError,
    exceptions.TokenRetrievalError,
)


_MAKING = Lock()  # a session makes one client at a time (boto3, "Multithreading or multiprocessing with sessions")


def client(
    service: str,
    *,
    region: str = "",
    attempts: int = 1,
    connect_seconds: float = 3,
    read_seconds: float = 10,
    connections: int = 16,
) -> Any:
    """A thread-safe client on the ambient credentials and endpoint (`AWS_ENDPOINT_URL…`), and region if none is given.

    `attempts` counts the first; 1 turns botocore's retries off.

    :raises Misconfigured: no region, or a profile that does not exist.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        user_agent_appid="pushpool",
    )
    # botocore reads AWS_DEFAULT_REGION alone; every other SDK and AWS's own documents say AWS_REGION.
    region_name = region or os.environ.get("AWS_REGION") or None
    try:
        with _MAKING:
            return _session(_ambience()).client(service, region_name=region_name, config=config)
    except exceptions.NoRegionError as exc:
        raise Misconfigured(f"AWS {service}: no region is set; set AWS_REGION, or a profile that has one") from exc
    except exceptions.BotoCoreError as exc:
        raise Misconfigured(f"AWS {service}: {one_line(exc)}; check AWS_PROFILE and ~/.aws/config") from exc


@lru_cache(maxsize=1)
def _session(ambience: tuple[tuple[str, str], ...]) -> Any:
    """One for all clients of one environment: it reads botocore's loaders, profiles and credentials once."""
    told = dict(ambience)
    if not (role := told.get(_ROLE)):
        return Session()
    if not (audience := told.get(_AUDIENCE)):
        raise Misconfigured(f"{_ROLE} is {role}, and {_AUDIENCE} is not set: see the role's trust policy")
    from botocore.session import get_session

    from adapters import web_identity

    session = get_session()
    web_identity.use(session, web_identity.Role(role, audience))
    return Session(botocore_session=session)


def _ambience() -> tuple[tuple[str, str], ...]:
    told = (
        (name, value) for name, value in os.environ.items() if name.startswith("AWS_") or name in (_ROLE, _AUDIENCE)
    )
    return tuple(sorted(told))


def ambient_region() -> str:
    """Of the environment or the profile; "" if there is none."""
    try:
        with _MAKING:
            return os.environ.get("AWS_REGION") or _session(_ambience()).region_name or ""
    except exceptions.BotoCoreError:
        return ""  # a profile that does not exist: `client` says so


def failure(exc: BaseException) -> Failure:
    """What a caught one of `ERRORS` tells."""
    if isinstance(exc, exceptions.ClientError):
        return _of_answer(exc)
    if isinstance(exc, _LOCAL_CREDENTIALS):
        trouble = Trouble.CREDENTIALS
    elif isinstance(exc, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError):
        trouble = Trouble.NOT_SENT
    elif isinstance(exc, exceptions.ParamValidationError | exceptions.NoRegionError):
        trouble = Trouble.REFUSED
    else:
        trouble = Trouble.NO_ANSWER
    return Failure(trouble, type(exc).__name__, one_line(exc))


def _of_answer(exc: exceptions.ClientError) -> Failure:
    error = exc.response.get("Error", {})
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", ""))
    message = one_line(str(error.get("Message", "")))
    if exc.operation_name == "AssumeRoleWithWebIdentity":  # made for the credentials; the call itself was not
        trouble = Trouble.NOT_SENT if status >= 500 or code in _THROTTLES else Trouble.CREDENTIALS
        message = f"{message}; does the role {os.environ.get(_ROLE)} trust this service account?"
    elif code in _THROTTLES or status == 429:
        trouble = Trouble.THROTTLED
    elif code in _CREDENTIALS:
        trouble = Trouble.CREDENTIALS
    elif code in _DENIALS:
        trouble = Trouble.DENIED
    elif status >= 500:
        trouble = Trouble.NO_ANSWER
    else:
        trouble = Trouble.REFUSED
    return Failure(trouble, code, message, exc.response)
