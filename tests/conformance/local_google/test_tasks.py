"""What the local Cloud Tasks must do, as Google's own client sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import CloudTasksClient

from dispatcher.testing.servers.google.project import REGION, GoogleProject, google_project
from dispatcher.testing.servers.google.receiver import Receiver, receiver

Json = dict[str, Any]


@pytest.fixture(scope="module")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleProject]:
    with google_project(tmp_path_factory.mktemp("google")) as made:
        yield made


@pytest.fixture(scope="module")
def client(google_cloud: GoogleProject) -> CloudTasksClient:
    import grpc

    channel = grpc.insecure_channel(google_cloud.endpoint)
    return CloudTasksClient(transport=CloudTasksClient.get_transport_class("grpc")(channel=channel))


@pytest.fixture
def queue(google_cloud: GoogleProject, client: CloudTasksClient) -> str:
    parent = f"projects/{google_cloud.id}/locations/{REGION}"
    name = f"{parent}/queues/q-{uuid4().hex[:8]}"
    made = client.create_queue(
        {"parent": parent, "queue": {"name": name, "retry_config": {"max_attempts": 3}}}, retry=None
    )
    return made.name


@pytest.fixture
def worker() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def create(client: CloudTasksClient, queue: str, worker: Receiver) -> Callable[..., Any]:
    def made(request: Json | None = None, **task: Any) -> Any:
        http = {"url": worker.url, "body": b"{}", **(request or {})}
        return client.create_task({"parent": queue, "task": {"http_request": http, **task}}, retry=None)

    return made


def test_a_task_is_delivered_with_who_it_is(create: Callable[..., Any], worker: Receiver, queue: str) -> None:
    task = create({"headers": {"X-Own": "1"}})

    (heard,) = worker.wait_for(1)
    assert heard.headers["x-cloudtasks-queuename"] == queue.rpartition("/")[2]
    assert heard.headers["x-cloudtasks-taskname"] == task.name.rpartition("/")[2]
    assert (heard.headers["x-own"], heard.headers["x-cloudtasks-taskretrycount"]) == ("1", "0")
    assert "authorization" not in heard.headers
    assert heard.body == b"{}"
    assert task.http_request.body == b"", "the basic view has no body"


def test_a_task_is_delivered_at_its_time(create: Callable[..., Any], worker: Receiver) -> None:
    at = datetime.now(UTC) + timedelta(seconds=0.4)

    create(schedule_time=at)

    assert worker.heard == []
    worker.wait_for(1)
    assert 0 <= time.time() - at.timestamp() < 2


def test_what_is_not_taken_comes_again(create: Callable[..., Any], worker: Receiver) -> None:
    worker.answers.extend([503, 401])

    create()

    counts = [heard.headers["x-cloudtasks-taskretrycount"] for heard in worker.wait_for(3)]
    assert counts == ["0", "1", "2"]


def test_it_is_given_up_after_as_many_tries_as_the_queue_says(
    google_cloud: GoogleProject, create: Callable[..., Any], worker: Receiver
) -> None:
    worker.answers.extend([500] * 9)

    task = create()

    assert len(worker.wait_for(3)) == 3
    assert google_cloud.tasks.courier.settled()
    assert task.name in google_cloud.tasks.courier.undelivered
    assert len(worker.heard) == 3


def test_a_name_is_taken_while_its_task_waits_and_after_it_is_done(
    google_cloud: GoogleProject, create: Callable[..., Any], queue: str, worker: Receiver
) -> None:
    name = f"{queue}/tasks/one"
    create(name=name, schedule_time=datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(exceptions.AlreadyExists, match="already exists"):
        create(name=name)

    create(name=f"{queue}/tasks/two")
    worker.wait_for(1)
    assert google_cloud.tasks.courier.settled()
    with pytest.raises(exceptions.AlreadyExists, match="existed too recently"):
        create(name=f"{queue}/tasks/two")


def test_a_task_that_was_deleted_is_not_delivered(
    client: CloudTasksClient, create: Callable[..., Any], queue: str
) -> None:
    task = create(schedule_time=datetime.now(UTC) + timedelta(hours=1))
    assert [each.name for each in client.list_tasks({"parent": queue}, retry=None)] == [task.name]
    assert client.get_task({"name": task.name}, retry=None).schedule_time == task.schedule_time

    client.delete_task({"name": task.name}, retry=None)

    with pytest.raises(exceptions.NotFound):
        client.get_task({"name": task.name}, retry=None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schedule_time": datetime.now(UTC) + timedelta(days=31)}, "30 days"),
        ({"dispatch_deadline": timedelta(minutes=31)}, r"\[15s, 30m\]"),
        ({"dispatch_deadline": timedelta(seconds=1)}, r"\[15s, 30m\]"),
        ({"name": "projects/p/locations/l/queues/other/tasks/one"}, "Task name"),
        ({"request": {"url": "ftp://d.example"}}, "HttpRequest.url"),
        ({"request": {"url": "http://d.example/" + "x" * 2083}}, "HttpRequest.url"),
        ({"request": {"http_method": "GET"}}, "HttpRequest.body"),
        ({"request": {"body": b"x" * 2**20}}, "too large"),
        ({"http_request": None, "app_engine_http_request": {"relative_uri": "/"}}, "HttpRequest"),
    ],
)
def test_what_breaks_a_rule_is_refused(create: Callable[..., Any], change: Json, why: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=why):
        create(**change)


def test_a_name_with_other_letters_is_refused(create: Callable[..., Any], queue: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Task name"):
        create(name=f"{queue}/tasks/a.b")


def test_an_account_that_may_not_be_acted_as_is_refused(create: Callable[..., Any]) -> None:
    with pytest.raises(exceptions.PermissionDenied, match="actAs"):
        create({"oidc_token": {"service_account_email": "nobody@example"}})


def test_without_an_audience_the_token_is_for_the_url(
    google_cloud: GoogleProject, create: Callable[..., Any], worker: Receiver
) -> None:
    from google.auth import jwt

    create({"oidc_token": {"service_account_email": google_cloud.account}})

    (heard,) = worker.wait_for(1)
    claims = jwt.decode(heard.headers["authorization"].removeprefix("Bearer "), google_cloud.issuer.certificates())
    assert (claims["aud"], claims["email_verified"]) == (worker.url, True)


def test_a_queue_that_is_not_there_is_told(client: CloudTasksClient, queue: str) -> None:
    assert client.get_queue({"name": queue}, retry=None).name == queue
    with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
        client.create_task({"parent": f"{queue}x", "task": {"http_request": {"url": "http://d.example"}}}, retry=None)
