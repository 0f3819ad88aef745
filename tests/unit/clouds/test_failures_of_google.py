"""What a failed call to Google Cloud tells: a table of what its client libraries raise."""

from __future__ import annotations

import socket

import grpc
import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.cloud import tasks_v2

from adapters import google
from adapters.failures import Trouble

NO_TOKEN = "Getting metadata from plugin failed with error: ('invalid_grant: Account not found', {})"

NO_TOKEN_YET = (
    "Getting metadata from plugin failed with error: HTTPConnectionPool(host='metadata.google.internal', port=80): "
    "Max retries exceeded with url: /computeMetadata/v1/instance/service-accounts/default/"
)


def of_grpc(status: grpc.StatusCode, message: str = "said so") -> exceptions.GoogleAPICallError:
    error: exceptions.GoogleAPICallError = exceptions.from_grpc_status(status, message)
    return error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (of_grpc(grpc.StatusCode.RESOURCE_EXHAUSTED), Trouble.THROTTLED),
        (of_grpc(grpc.StatusCode.UNAUTHENTICATED), Trouble.CREDENTIALS),
        (of_grpc(grpc.StatusCode.UNAVAILABLE, NO_TOKEN), Trouble.CREDENTIALS),
        (of_grpc(grpc.StatusCode.UNAVAILABLE, NO_TOKEN_YET), Trouble.NOT_SENT),
        (auth_exceptions.RefreshError("invalid_grant"), Trouble.CREDENTIALS),
        (auth_exceptions.DefaultCredentialsError("none"), Trouble.CREDENTIALS),
        (of_grpc(grpc.StatusCode.PERMISSION_DENIED), Trouble.DENIED),
        (of_grpc(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: …"), Trouble.NOT_SENT),
        (auth_exceptions.TransportError("token endpoint not reached"), Trouble.NOT_SENT),
        (auth_exceptions.RefreshError("try later", retryable=True), Trouble.NOT_SENT),
        (of_grpc(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer"), Trouble.NO_ANSWER),
        (of_grpc(grpc.StatusCode.DEADLINE_EXCEEDED), Trouble.NO_ANSWER),
        (of_grpc(grpc.StatusCode.INTERNAL), Trouble.NO_ANSWER),
        (of_grpc(grpc.StatusCode.UNKNOWN), Trouble.NO_ANSWER),
        (of_grpc(grpc.StatusCode.CANCELLED), Trouble.NO_ANSWER),
        (of_grpc(grpc.StatusCode.DATA_LOSS), Trouble.NO_ANSWER),
        (exceptions.RetryError("gave up", cause=None), Trouble.NO_ANSWER),
        (of_grpc(grpc.StatusCode.INVALID_ARGUMENT), Trouble.REFUSED),
        (of_grpc(grpc.StatusCode.NOT_FOUND), Trouble.REFUSED),
        (of_grpc(grpc.StatusCode.ALREADY_EXISTS), Trouble.REFUSED),
        (of_grpc(grpc.StatusCode.FAILED_PRECONDITION), Trouble.REFUSED),
        (of_grpc(grpc.StatusCode.ABORTED), Trouble.REFUSED),
        (of_grpc(grpc.StatusCode.UNIMPLEMENTED), Trouble.REFUSED),
        (exceptions.from_http_status(429, "slow down"), Trouble.THROTTLED),
        (exceptions.from_http_status(503, "down"), Trouble.NO_ANSWER),
    ],
    ids=lambda value: value.value if isinstance(value, Trouble) else type(value).__name__,
)
def test_an_error_tells_what_to_do_next(error: Exception, trouble: Trouble) -> None:
    assert isinstance(error, google.ERRORS)
    assert google.failure(error).trouble is trouble


def test_a_failure_is_one_line_with_the_canonical_code() -> None:
    assert str(google.failure(of_grpc(grpc.StatusCode.NOT_FOUND, "no\n such  job"))) == "NOT_FOUND: no such job"


def test_nobody_listening_is_a_request_that_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setenv("PUSHPOOL_GOOGLE_EMULATOR", f"127.0.0.1:{port}")
    tasks = google.client(tasks_v2.CloudTasksClient, endpoint="cloudtasks.googleapis.com")

    with pytest.raises(google.ERRORS) as caught:
        tasks.get_queue(name="projects/p/locations/l/queues/q", retry=None, timeout=5)

    assert google.failure(caught.value).trouble is Trouble.NOT_SENT
    tasks.transport.close()
