"""The SQS waker passes the suite of every waker, on a real queue; then what is peculiar to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from adapters.wakers.sqs import SqsWaker, open_waker
from adapters.wakes import Wake
from dispatcher.errors import InvalidInput
from dispatcher.ports import Waker
from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.aws_account import AwsAccount
from dispatcher.testing.waker_suite import Hand, WakerSuite

SECOND = timedelta(seconds=1)


@pytest.fixture
def queue(aws_account: AwsAccount) -> Iterator[str]:
    sqs = aws_account.client("sqs")
    url: str = sqs.create_queue(QueueName=f"wakes-{uuid4().hex[:12]}")["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


class QueueHand:
    """The queue delivers at once, and here each message waits out its delay by the clock that the hand moves."""

    def __init__(self, account: AwsAccount, queue: str) -> None:
        self.clock = HandClock()
        self.queue = queue
        self.sender, self.receiver = account.client("sqs"), account.client("sqs")
        self.sender.meta.events.register("provide-client-params.sqs.SendMessage", self._take_delay)
        self.sender.meta.events.register("after-call.sqs.SendMessage", self._note)
        self.delays: list[int] = []
        self.due: dict[str, datetime] = {}
        self.waiting: dict[str, Wake] = {}
        self.guard = threading.Lock()
        self.closing = threading.Event()
        self.threads: list[threading.Thread] = []

    def open(self, run: Callable[[str, int], None]) -> Waker:
        self.threads.append(threading.Thread(target=self._deliver, args=(run,), daemon=True))
        self.threads[-1].start()
        return SqsWaker(self.queue, now=self.clock.now, client=self.sender)

    def now(self) -> datetime:
        return self.clock.now()

    def move(self, by: timedelta) -> None:
        self.clock.move(by)

    def close(self) -> None:
        self.closing.set()
        for thread in self.threads:
            thread.join()

    def _take_delay(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.delays.append(params["DelaySeconds"])
        return {**params, "DelaySeconds": 0}

    def _note(self, parsed: dict[str, Any], **_: Any) -> None:
        with self.guard:
            self.due[parsed["MessageId"]] = self.clock.now() + self.delays[-1] * SECOND

    def _deliver(self, run: Callable[[str, int], None]) -> None:
        while not self.closing.wait(0.005):
            for message in self.receiver.receive_message(QueueUrl=self.queue).get("Messages", []):
                self.waiting[message["MessageId"]] = Wake.parse(message["Body"])
                self.receiver.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            with self.guard:
                here = [each for each in self.waiting if each in self.due and self.due[each] <= self.clock.now()]
            for each in sorted(here, key=lambda each: self.due[each]):
                wake = self.waiting.pop(each)
                run(wake.pool, wake.hops)


class TestSqs(WakerSuite):
    @pytest.fixture
    def hand(self, aws_account: AwsAccount, queue: str) -> Iterator[Hand]:
        made = QueueHand(aws_account, queue)
        yield made
        made.close()


@pytest.fixture
def hand(aws_account: AwsAccount, queue: str) -> Iterator[QueueHand]:
    made = QueueHand(aws_account, queue)
    yield made
    made.close()


@pytest.fixture
def sender(hand: QueueHand) -> SqsWaker:
    """Nobody receives what it sends."""
    return SqsWaker(hand.queue, now=hand.clock.now, client=hand.sender)


@pytest.mark.parametrize(
    ("ahead", "delay"),
    [(0.2, 1), (1.0, 1), (29.9, 30), (899.5, 900), (900.0, 900)],
)
def test_a_delay_is_rounded_up_so_that_no_wake_is_early(
    hand: QueueHand, sender: SqsWaker, ahead: float, delay: int
) -> None:
    assert hand.now().microsecond == 0

    sender.wake("pool", hand.now() + timedelta(seconds=ahead))

    assert hand.delays == [delay]


def test_what_is_further_off_than_a_delay_reaches_is_left_to_the_tick(hand: QueueHand, sender: SqsWaker) -> None:
    sender.wake("pool", hand.now() + timedelta(seconds=901))

    assert hand.delays == []


def test_of_many_immediate_wakes_of_a_second_two_are_sent_the_second_after_all_of_them(
    hand: QueueHand, sender: SqsWaker
) -> None:
    for _ in range(50):
        sender.wake("pool")
        hand.move(timedelta(milliseconds=10))
    sender.wake("other")

    assert hand.delays == [0, 1, 0]


def test_the_next_second_has_wakes_of_its_own(hand: QueueHand, sender: SqsWaker) -> None:
    sender.wake("pool")
    hand.move(SECOND)
    sender.wake("pool")

    assert hand.delays == [0, 0]


def test_a_message_is_delivered_after_its_delay(aws_account: AwsAccount, queue: str) -> None:
    """On the queue's own clock."""
    sqs = aws_account.client("sqs")
    waker = SqsWaker(queue, client=sqs)

    waker.wake("pool", datetime.now().astimezone() + timedelta(seconds=0.5), hops=2)

    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert Wake.parse(message["Body"]) == Wake("pool", 2)


def test_a_wake_that_cannot_be_sent_is_logged_and_no_more(
    aws_account: AwsAccount, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pushpool"):
        SqsWaker(f"{queue}-gone", client=aws_account.client("sqs")).wake("pool")

    (line,) = caplog.records
    assert line.getMessage() == "wake not sent"
    assert "NonExistentQueue" in line.__dict__["why"] or "QueueDoesNotExist" in line.__dict__["why"]


def test_without_a_region_a_wake_is_logged_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with caplog.at_level(logging.WARNING, "pushpool"):
        open_waker("https://sqs.example/1/wakes").wake("pool")

    assert "set AWS_REGION" in caplog.records[0].__dict__["why"]


@pytest.mark.parametrize("address", ["", "wakes", "//sqs.example/1/wakes"])
def test_an_address_that_is_no_queues_url_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="PUSHPOOL_WAKER is sqs:https://"):
        open_waker(address)


@pytest.mark.parametrize("text", ["", "null", "3", "[]", '{"pool": []}', '{"pool": "p", "hops": true}'])
def test_what_is_no_wake_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(InvalidInput, match=r'one is \{"pool": "NAME", "hops": 0\}'):
        Wake.parse(text)


def test_a_wake_is_read_as_it_was_written() -> None:
    assert Wake.parse(Wake("Größe 1/β", 3).to_text()) == Wake("Größe 1/β", 3)


def test_the_least_that_is_a_wake_names_a_pool() -> None:
    assert Wake.parse('{"pool": "night"}') == Wake("night", 0)
