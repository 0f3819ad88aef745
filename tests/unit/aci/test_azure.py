"""What a failed call to Azure tells: a table of what its client libraries raise, and what real connections do."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core import exceptions
from azure.core.credentials import AccessToken
from azure.core.rest import HttpRequest
from azure.identity import CredentialUnavailableError

from adapters import azure
from adapters.failures import Failure, Trouble
from dispatcher.errors import Misconfigured


class Answer:
    """As much of a response as its error reads."""

    def __init__(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        self.status_code, self.reason, self.headers, self.request = status, "said so", headers or {}, None
        self._body = body

    def text(self) -> str:
        return json.dumps(self._body)


def of_answer(status: int, code: str = "SomeCode", **headers: str) -> exceptions.HttpResponseError:
    body = {"error": {"code": code, "message": "words\n of it"}}
    answer: Any = Answer(status, body, headers)
    return exceptions.HttpResponseError(response=answer)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (of_answer(429), Trouble.THROTTLED),
        (of_answer(401), Trouble.CREDENTIALS),
        (of_answer(403), Trouble.DENIED),
        (of_answer(400), Trouble.REFUSED),
        (of_answer(404), Trouble.REFUSED),
        (of_answer(409), Trouble.REFUSED),
        (of_answer(408), Trouble.NO_ANSWER),
        (of_answer(500), Trouble.NO_ANSWER),
        (of_answer(503), Trouble.NO_ANSWER),
        (of_answer(307), Trouble.NO_ANSWER),
        (exceptions.DecodeError("no JSON"), Trouble.NO_ANSWER),
        (exceptions.ServiceResponseError("reset"), Trouble.NO_ANSWER),
        (exceptions.ServiceResponseTimeoutError("slow"), Trouble.NO_ANSWER),
        (exceptions.ServiceRequestTimeoutError("no connection"), Trouble.NOT_SENT),
        (exceptions.ServiceRequestError("certificate: CERTIFICATE_VERIFY_FAILED"), Trouble.NOT_SENT),
        (azure.NoToken(Failure(Trouble.CREDENTIALS, "x", "y")), Trouble.CREDENTIALS),
    ],
    ids=lambda value: value.value if isinstance(value, Trouble) else type(value).__name__,
)
def test_an_error_tells_what_to_do_next(error: Exception, trouble: Trouble) -> None:
    assert isinstance(error, azure.ERRORS)
    assert azure.failure(error).trouble is trouble


def test_a_failure_is_one_line_with_the_code_of_azure_and_what_it_says_inside() -> None:
    inner = {"code": "InaccessibleImage", "message": "The image is not accessible."}
    body = {"error": {"code": "DeploymentFailed", "message": "At least\n one", "details": [inner]}}
    answer: Any = Answer(400, body, {"Retry-After": "17"})

    failure = azure.failure(exceptions.HttpResponseError(response=answer))

    assert str(failure) == "DeploymentFailed: At least one; The image is not accessible"
    assert failure.answer == {"status": 400, "codes": ["DeploymentFailed", "InaccessibleImage"], "retry_after": 17.0}


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """Whoever connects there is told that much, and no more until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)
                over.wait(5)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join()


def asked(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> Failure:
    monkeypatch.setenv("PUSHPOOL_AZURE_EMULATOR", endpoint)
    client = azure.resources()
    try:
        with pytest.raises(azure.ERRORS) as caught:
            client.send_request(HttpRequest("GET", azure.base_url()), connection_timeout=2, read_timeout=0.05)
    finally:
        client.close()
    return azure.failure(caught.value)


def test_nobody_listening_is_a_request_that_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    assert asked(monkeypatch, f"127.0.0.1:{port}").trouble is Trouble.NOT_SENT


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"], ids=["nothing", "half of it"]
)
def test_an_answer_that_does_not_come_leaves_it_open_whether_it_was_done(
    monkeypatch: pytest.MonkeyPatch, reply: bytes
) -> None:
    """Of the second azure-core says that no request was sent."""
    with answering(reply) as endpoint:
        assert asked(monkeypatch, endpoint).trouble is Trouble.NO_ANSWER


class Told:
    """Hands out no token, for a reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise self._error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (CredentialUnavailableError(message="no managed identity"), Trouble.CREDENTIALS),
        (exceptions.ClientAuthenticationError("AADSTS70021: no federated identity"), Trouble.CREDENTIALS),
        (of_answer(503), Trouble.NOT_SENT),
        (of_answer(429), Trouble.NOT_SENT),
        (exceptions.ServiceResponseError("cut off"), Trouble.NOT_SENT),
        (ValueError("no tenant"), Trouble.CREDENTIALS),
        (FileNotFoundError("token file"), Trouble.CREDENTIALS),
        (azure.NoToken(Failure(Trouble.NOT_SENT, "x", "y")), Trouble.NOT_SENT),
    ],
    ids=lambda value: value.value if isinstance(value, Trouble) else type(value).__name__,
)
def test_without_a_token_the_call_was_not_made(error: Exception, trouble: Trouble) -> None:
    with pytest.raises(azure.NoToken) as caught:
        azure._Guarded(Told(error)).get_token("scope")

    assert azure.failure(caught.value).trouble is trouble


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"FEDERATION": "amazon", "CLIENT_ID": "c", "TENANT_ID": "t"}, "write aws or google"),
        ({"CLIENT_ID": "c", "TENANT_ID": "t"}, "write aws or google"),
        ({"FEDERATION": "aws", "CLIENT_ID": "c"}, "PUSHPOOL_AZURE_TENANT_ID is not set"),
        ({"FEDERATION": "google", "TENANT_ID": "t"}, "PUSHPOOL_AZURE_CLIENT_ID is not set"),
    ],
)
def test_credentials_that_are_half_told_are_refused(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], words: str
) -> None:
    monkeypatch.delenv("PUSHPOOL_AZURE_EMULATOR")
    for name, value in env.items():
        monkeypatch.setenv(f"PUSHPOOL_AZURE_{name}", value)

    with pytest.raises(Misconfigured, match=words):
        azure.credentials()


def test_a_certificate_that_is_not_there_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHPOOL_AZURE_EMULATOR")
    for name in ("CLIENT_ID", "TENANT_ID"):
        monkeypatch.setenv(f"AZURE_{name}", "11111111-2222-3333-4444-555555555555")
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", "/nonexistent")

    with pytest.raises(Misconfigured, match="/nonexistent"):
        azure.credentials()


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that nobody has told of Azure, and the one folder in which it looks for `az`."""
    monkeypatch.delenv("PUSHPOOL_AZURE_EMULATOR")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")  # else a metadata server is looked for
    monkeypatch.setenv("PATH", str(tmp_path))
    azure._found.cache_clear()
    return tmp_path


@pytest.mark.usefixtures("untold")
def test_who_has_no_credentials_is_told_how_to_get_some_and_by_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("azure.identity").setLevel(logging.NOTSET)
    with pytest.raises(azure.NoToken) as caught:
        azure.credentials().get_token("https://management.azure.com/.default")

    failure = azure.failure(caught.value)
    assert (failure.trouble, failure.code) == (Trouble.CREDENTIALS, azure.NO_CREDENTIALS)
    assert "`az login`" in failure.message
    assert "PUSHPOOL_AZURE_FEDERATION" in failure.message
    assert caplog.records == []


def test_credentials_that_have_expired_are_not_the_same_as_none(untold: Path) -> None:
    az = untold / "az"
    az.write_text("#!/bin/sh\necho 'ERROR: AADSTS70043: The refresh token has expired.' >&2; exit 1\n")
    az.chmod(0o755)

    with pytest.raises(azure.NoToken) as caught:
        azure.credentials().get_token("https://management.azure.com/.default")

    assert azure.failure(caught.value).code == "ClientAuthenticationError"
    assert "AADSTS70043" in str(caught.value)


@pytest.mark.parametrize("federation", ["", "aws", "google"])
def test_credentials_are_made_once_and_kept(monkeypatch: pytest.MonkeyPatch, federation: str) -> None:
    monkeypatch.delenv("PUSHPOOL_AZURE_EMULATOR")
    if federation:
        for name, value in {"FEDERATION": federation, "CLIENT_ID": "c", "TENANT_ID": "t"}.items():
            monkeypatch.setenv(f"PUSHPOOL_AZURE_{name}", value)

    assert azure.credentials() is azure.credentials()


def test_who_it_speaks_for_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "ambient")
    monkeypatch.setenv("AZURE_TENANT_ID", "ambient-tenant")
    assert (azure.principal(), azure.tenant()) == ("ambient", "ambient-tenant")

    monkeypatch.setenv("PUSHPOOL_AZURE_CLIENT_ID", "federated")

    assert azure.principal() == "federated"
