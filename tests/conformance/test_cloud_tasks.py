"""The Cloud Tasks waker passes the suite of every waker, on a queue that delivers over HTTP; then what is its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters import google
from adapters.wakers.cloud_tasks import CloudTasksWaker, open_waker
from adapters.wakes import Wake
from dispatcher.errors import InvalidInput
from dispatcher.ports import Waker
from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.google.project import GoogleProject, google_project
from dispatcher.testing.servers.google.receiver import Heard, receiver
from dispatcher.testing.waker_suite import Hand, WakerSuite

SECOND = timedelta(seconds=1)


class Hands:
    """The clock that the queues of all tests go by: each test moves its own."""

    def __init__(self) -> None:
        self.clock = HandClock()

    def seconds(self) -> float:
        return self.clock.now().timestamp()


@pytest.fixture(scope="module")
def time_of_all() -> Hands:
    return Hands()


@pytest.fixture(scope="module")
def google_cloud(tmp_path_factory: pytest.TempPathFactory, time_of_all: Hands) -> Iterator[GoogleProject]:
    with google_project(tmp_path_factory.mktemp("google"), now=time_of_all.seconds) as made:
        yield made


class QueueHand:
    """A queue, and a receiver of its tasks' requests, by a clock that the hand moves."""

    def __init__(self, project: GoogleProject, time_of_all: Hands) -> None:
        self.project = project
        self.clock = time_of_all.clock = HandClock()
        self.queue = project.make_queue(f"wakes-{uuid4().hex[:12]}")
        self.opened = ExitStack()
        self.url = "http://127.0.0.1:9/"

    def open(self, run: Callable[[str, int], None]) -> Waker:
        def pass_on(heard: Heard) -> None:
            wake = Wake.parse(heard.body.decode())
            run(wake.pool, wake.hops)

        self.receiver = self.opened.enter_context(receiver(pass_on))
        self.url = self.receiver.url
        return self.waker()

    def waker(self, **how: Any) -> CloudTasksWaker:
        account = self.project.account
        return CloudTasksWaker(
            self.queue, **{"url": self.url, "service_account": account, "now": self.clock.now, **how}
        )

    def now(self) -> datetime:
        return self.clock.now()

    def move(self, by: timedelta) -> None:
        self.clock.move(by)
        self.project.tasks.courier.look()

    @property
    def created(self) -> list[Any]:
        return [task for task in self.project.tasks.created if task.name.startswith(f"{self.queue}/")]

    def close(self) -> None:
        self.opened.close()
        for task in self.created:
            self.project.tasks.courier.drop(task.name)


@pytest.fixture
def hand(google_cloud: GoogleProject, time_of_all: Hands, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueHand]:
    for name, value in google_cloud.environment.items():
        monkeypatch.setenv(name, value)
    made = QueueHand(google_cloud, time_of_all)
    yield made
    made.close()


class TestCloudTasks(WakerSuite):
    @pytest.fixture(name="hand")
    def queue_hand(self, hand: QueueHand) -> Hand:
        return hand


@pytest.mark.parametrize(("ahead", "second"), [(0.2, 1), (1.0, 1), (29.9, 30), (899.5, 900), (900.0, 900)])
def test_a_time_is_the_end_of_its_second_so_that_no_wake_is_early(hand: QueueHand, ahead: float, second: int) -> None:
    assert hand.now().microsecond == 0

    hand.waker().wake("pool", hand.now() + timedelta(seconds=ahead))

    (task,) = hand.created
    assert task.schedule_time.seconds == hand.now().timestamp() + second


def test_what_is_further_off_than_15_minutes_is_left_to_the_tick(hand: QueueHand) -> None:
    hand.waker().wake("pool", hand.now() + timedelta(seconds=901))

    assert hand.created == []


def test_of_many_immediate_wakes_of_a_second_two_are_sent_the_second_after_all_of_them(hand: QueueHand) -> None:
    waker = hand.waker()
    for _ in range(50):
        waker.wake("pool")
        hand.move(timedelta(milliseconds=10))
    waker.wake("other")

    begun = hand.created[0].create_time.seconds
    assert [round(task.schedule_time.seconds - begun) for task in hand.created] == [0, 1, 0]


def test_timed_wakes_of_one_pool_and_second_are_one_whoever_sends_them(
    hand: QueueHand, caplog: pytest.LogCaptureFixture
) -> None:
    at = hand.now() + 30 * SECOND
    for waker in (hand.waker(), hand.waker(), hand.waker()):
        waker.wake("pool", at)
        waker.wake("other", at)

    assert len(hand.created) == 2
    assert caplog.records == []


def test_a_name_that_was_used_is_not_missed(hand: QueueHand, caplog: pytest.LogCaptureFixture) -> None:
    """Of a task that has been delivered too, which nobody asks for again but late."""
    at = hand.now() + SECOND
    hand.open(lambda *_: None).wake("pool", at)
    hand.move(SECOND)
    assert len(hand.receiver.wait_for(1)) == 1
    assert hand.project.tasks.courier.settled()
    hand.move(-SECOND)

    hand.waker().wake("pool", at)

    assert len(hand.created) == 1
    assert caplog.records == []


def test_immediate_wakes_have_no_name_of_ours(hand: QueueHand) -> None:
    for waker in (hand.waker(), hand.waker()):
        waker.wake("pool")
        waker.wake("pool")

    assert len({task.name for task in hand.created}) == 4


def test_the_request_carries_a_token_for_the_function(hand: QueueHand) -> None:
    hand.open(lambda *_: None).wake("pool", hops=2)
    (heard,) = hand.receiver.wait_for(1)

    from google.auth import jwt

    certs = hand.project.issuer.certificates()
    claims = jwt.decode(heard.headers["authorization"].removeprefix("Bearer "), certs, audience=hand.url)
    assert (claims["email"], claims["iss"]) == (hand.project.account, "https://accounts.google.com")
    assert (Wake.parse(heard.body.decode()), heard.headers["content-type"]) == (Wake("pool", 2), "application/json")


@pytest.mark.parametrize("kind", ["timeout", "reply lost"])
def test_a_wake_without_an_answer_is_sent_again(hand: QueueHand, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    hand.project.tasks.fail_next(kind)

    hand.waker().wake("pool", hand.now() + SECOND)

    assert len(hand.created) == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    ("kind", "times", "why"),
    [("throttled", 1, "RESOURCE_EXHAUSTED"), ("denied", 1, "cloudtasks.tasks.create"), ("timeout", 3, "UNAVAILABLE")],
)
def test_a_wake_that_cannot_be_sent_is_logged_and_no_more(
    hand: QueueHand, kind: str, times: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    hand.project.tasks.fail_next(kind, times=times)

    with caplog.at_level(logging.WARNING, "pushpool"):
        hand.waker().wake("pool")

    (line,) = caplog.records
    assert (line.getMessage(), line.__dict__["queue"]) == ("wake not sent", hand.queue)
    assert why in line.__dict__["why"]


@pytest.mark.parametrize(
    ("how", "why"),
    [({"service_account": "nobody@example"}, "iam.serviceAccounts.actAs"), ({"url": "http://"}, "HttpRequest.url")],
)
def test_what_the_queue_refuses_is_logged(
    hand: QueueHand, how: dict[str, str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pushpool"):
        hand.waker(**how).wake("pool")

    assert why in caplog.records[0].__dict__["why"]


def test_a_queue_that_is_not_there_is_logged(hand: QueueHand, caplog: pytest.LogCaptureFixture) -> None:
    hand.queue = f"{hand.queue}-gone"

    with caplog.at_level(logging.WARNING, "pushpool"):
        hand.waker().wake("pool")

    assert "NOT_FOUND: Queue does not exist" in caplog.records[0].__dict__["why"]


def test_without_credentials_a_wake_is_logged_and_no_more(
    hand: QueueHand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUSHPOOL_GOOGLE_EMULATOR")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))

    with caplog.at_level(logging.WARNING, "pushpool"):
        hand.waker().wake("pool")

    assert "no credentials that can be used" in caplog.records[0].__dict__["why"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "wakes?url=https://d.example&service_account=a@example",
        "projects/p/locations/l/queues/q",
        "projects/p/locations/l/queues/q?url=d.example&service_account=a@example",
        "projects/p/locations/l/queues/q?url=https://d.example",
    ],
)
def test_an_address_that_is_no_queues_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="PUSHPOOL_WAKER is cloudtasks:projects/P/locations/L/queues/Q"):
        open_waker(address)


def test_an_address_says_where_tasks_go(hand: QueueHand) -> None:
    account = hand.project.account
    open_waker(f"{hand.queue}?url=https://d.example/x?y=1&service_account={account}&audience=aud").wake("pool")

    request = hand.created[0].http_request
    assert (request.url, request.oidc_token.audience) == ("https://d.example/x?y=1", "aud")


def test_what_may_be_sent_twice_is_tried_again_only_while_it_has_no_answer() -> None:
    from google.api_core import exceptions

    tries: list[str] = []

    def call() -> None:
        tries.append("")
        raise exceptions.PermissionDenied("no")

    with pytest.raises(exceptions.PermissionDenied):
        google.repeated(call)
    assert len(tries) == 1
