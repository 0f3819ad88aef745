"""What is owed to the outside: done once, tried again with patience, and never in each other's way."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher import outbox, webhooks
from dispatcher.catalogue.deployments import delete_deployment
from dispatcher.errors import AdapterUnavailable
from dispatcher.forms import WebhookForm
from dispatcher.outbox import LONGEST_DELAY, LOOKED_AT, PER_PASS, TRIES
from dispatcher.ports import OutboxEntry, Rate, Window
from dispatcher.runs import FlowRun, Name, Target
from dispatcher.testing.builders import POOL, make_id, make_outbox_entry
from dispatcher.testing.fake_cloud import FakeCloud

if TYPE_CHECKING:
    from tests.unit.conftest import Receiver, Site

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECRET = "hush-hush-hush"


def hook(receiver: Receiver, *on: Any, path: str = "", **changes: Any) -> WebhookForm:
    return WebhookForm(url=receiver.url + path, on=list(on), **{"allow_private": True, **changes})


def deploy(site: Site, *hooks: WebhookForm, **form: Any) -> None:
    site.pool()
    site.deploy(webhooks=list(hooks), **form)


def failed(site: Site) -> FlowRun:
    run = site.order()
    site.over()
    site.far.finish(site.handle(run), 1)
    site.hear()
    return site.now_of(run)


def work(site: Site, passes: int = 1) -> None:
    for _ in range(passes):
        outbox.work_off(site.context, POOL, until=site.now + MINUTE)


def owed(site: Site) -> list[OutboxEntry]:
    return list(site.store.outbox_due(POOL, site.now + 999 * DAY, limit=999))


# notices


def test_an_end_is_told_once_to_each_webhook_that_asked_for_it(site: Site, receiver: Receiver) -> None:
    both = [hook(receiver, "failed", path=f"/{n}") for n in range(2)]
    deploy(site, *both, hook(receiver, "completed", path="/other"))
    failed(site)

    work(site, passes=3)

    assert sorted(receiver.events) == [(f"/hook/{n}", "flow-run.failed") for n in range(2)]
    assert owed(site) == []


def test_passes_alone_tell_it(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "failed"))
    failed(site)
    site.wakes.take()

    site.over()
    assert (POOL, None, 0) in site.wakes.take()
    site.over()

    assert receiver.events == [("/hook", "flow-run.failed")]


@pytest.mark.parametrize(
    ("on", "event"),
    [
        (["timed_out"], "flow-run.timed_out"),
        (["failed"], "flow-run.failed"),
        (["failed", "timed_out"], "flow-run.timed_out"),
    ],
)
def test_what_timed_out_is_told_to_those_who_asked_for_that_or_for_failures(
    site: Site, receiver: Receiver, on: list[str], event: str
) -> None:
    deploy(site, hook(receiver, *on), timeout_seconds=60)
    run = site.order()
    site.over()
    site.hear()
    site.later(60)
    site.over()
    site.hear()
    assert site.now_of(run).state.name is Name.TIMED_OUT

    work(site, passes=2)

    assert receiver.events == [("/hook", event)]


def test_a_retry_is_not_told_but_its_end_is(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "failed"), retries=1)
    run = failed(site)
    work(site, passes=2)
    assert receiver.events == []

    site.over()
    site.far.finish(site.handle(run), 1)
    site.hear()
    work(site, passes=2)

    assert receiver.events == [("/hook", "flow-run.failed")]


def test_a_late_run_is_told_of_once(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "late"))
    site.pool(paused=True)
    site.order()
    site.later(16)

    for _ in range(4):
        site.over()
        site.later(60)

    assert receiver.events == [("/hook", "flow-run.late")]


def test_a_run_that_is_a_little_behind_is_not_late(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "late"))
    site.pool(paused=True)
    site.order()
    site.later(15)

    site.over()
    site.over()

    assert receiver.events == []


def test_very_many_late_runs_in_many_queues_are_all_told_of(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "late"))
    site.pool(paused=True)
    for number in range(7):
        for _ in range(18):
            site.order(queue=f"q{number}")
    site.later(16)

    site.over()

    assert len(owed(site)) == 7 * 18


def test_refused_it_is_told_again_later_and_later_and_then_given_up(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "failed"))
    failed(site)
    receiver.status = 503
    work(site)
    waits = []
    for _ in range(TRIES["notify"] + 3):
        work(site)
        if not owed(site):
            break
        waits.append((owed(site)[0].due_at - site.now).total_seconds())
        site.clock.move_to(owed(site)[0].due_at)

    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) <= LONGEST_DELAY.total_seconds()
    assert len(waits) == TRIES["notify"] - 1
    assert owed(site) == []


def test_an_address_that_is_not_allowed_is_given_up_at_once(site: Site, receiver: Receiver) -> None:
    receiver.url = receiver.url.replace("http:", "https:").replace("127.0.0.1", "localhost")  # a name passes at first
    deploy(site, hook(receiver, "failed", allow_private=False))
    failed(site)

    work(site, passes=2)

    assert owed(site) == []
    assert receiver.events == []


def test_each_webhook_is_tried_again_by_itself(site: Site, receiver: Receiver) -> None:
    deploy(site, *(hook(receiver, "failed", path=f"/{n}") for n in range(2)))
    failed(site)
    receiver.refusals = [503]
    work(site, passes=3)
    assert len(receiver.events) == 2

    site.later(10)
    work(site, passes=2)

    assert sorted(path for path, _ in receiver.events) == ["/hook/0", "/hook/0", "/hook/1"]


def test_a_webhook_that_was_taken_away_is_not_told_any_more(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "failed"))
    failed(site)
    work(site)
    site.deploy(webhooks=[hook(receiver, "failed", path="/new")])

    work(site, passes=2)

    assert receiver.events == []
    assert owed(site) == []


def test_its_secret_is_looked_up_when_it_is_told(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "failed", secret=SECRET))
    failed(site)
    work(site)
    site.deploy(webhooks=[hook(receiver, "failed", secret="another-one")])

    work(site)

    [(_, headers, body)] = receiver.requests
    assert headers["X-Pushpool-Signature"] == webhooks.signature("another-one", body, site.now)


@pytest.mark.parametrize("gone", ["deployment", "run"])
def test_of_what_is_gone_nobody_is_told(site: Site, receiver: Receiver, gone: str) -> None:
    deploy(site, hook(receiver, "failed"))
    run = failed(site)
    if gone == "deployment":
        delete_deployment(site.context, "etl")
    else:
        site.store.delete_run(run)

    work(site, passes=2)

    assert receiver.events == []
    assert owed(site) == []


def test_no_secret_is_stored_in_what_is_owed_or_written_to_the_log(
    site: Site, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    deploy(site, hook(receiver, "failed", secret=SECRET))
    failed(site)
    receiver.refusals = [503]
    with caplog.at_level(logging.DEBUG, logger="pushpool"):
        work(site, passes=2)

    assert SECRET not in json.dumps([dict(entry.body) for entry in owed(site)])
    assert not [record for record in caplog.records if SECRET in str(record.__dict__)]
    assert owed(site) != []
    assert SECRET.encode() not in receiver.requests[0][2]


# clean-ups


@pytest.fixture
def left(site: Site) -> list[str]:
    """What three ended attempts have left in the cloud."""
    site.far.behave(keeps=True, run_seconds=0)
    site.declare()
    site.pool()
    site.deploy()
    runs = [site.order() for _ in range(3)]
    site.over()
    handles = sorted(site.handle(run) for run in runs)
    site.hear()
    return handles


def test_what_the_cloud_keeps_is_removed_and_no_longer_owed(site: Site, left: list[str]) -> None:
    assert site.far.left() == left

    work(site)

    assert (site.far.left(), owed(site)) == ([], [])


def test_it_is_left_until_its_time_has_come(site: Site) -> None:
    site.pool()
    site.store.put_outbox(cleanup(due_in=MINUTE))

    work(site)
    assert "cleanup" not in site.far.counts()

    site.later(60)
    work(site)
    assert site.far.counts()["cleanup"] == 1


def cleanup(*, due_in: timedelta = timedelta(0), kind: str = "fake", handle: str = "fake/1") -> OutboxEntry:
    entry = make_outbox_entry(body={"target": {"type": kind, "account": "cloud"}, "handle": handle})
    return OutboxEntry(entry.id, entry.kind, entry.pool, entry.run_id, entry.due_at + due_in, entry.body)


def test_a_cloud_that_does_not_answer_is_asked_again_many_times(site: Site, left: list[str]) -> None:
    site.far.fail_next("timeout", times=999, call="cleanup")

    for _ in range(60):
        work(site)
        site.clock.move(HOUR)

    assert site.far.counts()["cleanup"] == 3 * TRIES["cleanup"]
    assert owed(site) == []


def test_only_as_much_is_removed_as_the_cloud_allows_and_the_rest_later(site: Site, left: list[str]) -> None:
    site.declare(rates={"cleanup": (Rate(2, 1.0),)}, cleanup_after=timedelta(0))

    work(site, passes=2)
    assert len(site.far.left()) == 1

    site.later(1)
    work(site)
    assert site.far.left() == []


def test_what_was_never_named_is_found_and_removed(site: Site, left: list[str]) -> None:
    run = site.runs()[0]
    there = {"target": {"type": "fake", "account": "cloud"}, "attempt": 1, "submit_seq": 1}
    nothing = {**there, "submit_seq": 7}
    for body in (there, nothing):
        site.store.put_outbox(make_outbox_entry(id=str(body), run_id=run.id, due_at=site.now, body=body))

    work(site)

    counts = site.far.counts()
    assert (counts["find"], counts["cleanup"], owed(site)) == (2, len(left) + 1, [])


def test_no_more_of_the_budget_is_taken_than_is_used(site: Site) -> None:
    site.declare(rates={"cleanup": (Window(2 * PER_PASS, HOUR),)})
    for number in range(3 * PER_PASS):
        site.store.put_outbox(cleanup(handle=f"fake/{number}", due_in=-HOUR))

    work(site, passes=3)

    assert site.far.counts()["cleanup"] == 2 * PER_PASS


def test_each_account_and_region_has_a_limit_of_its_own(site: Site) -> None:
    site.declare(rates={"cleanup": (Window(3, HOUR),)})
    for number in range(8):
        entry = cleanup(handle=f"fake/{number}", due_in=-HOUR)
        there = {**entry.body["target"], "region": ("east", "west")[number % 2], "group": str(number)}
        site.store.put_outbox(replace(entry, body={**entry.body, "target": there}))

    work(site, passes=2)

    assert site.far.counts()["cleanup"] == 6


def test_clean_ups_that_must_wait_do_not_stand_in_front_of_cancels_and_waiting_is_no_try(site: Site) -> None:
    site.declare(rates={"cleanup": (Window(1, HOUR),)})
    for number in range(LOOKED_AT + 5):
        site.store.put_outbox(cleanup(handle=f"fake/{number}", due_in=-HOUR))
    body = {"target": {"type": "fake", "account": "cloud"}, "handle": "fake/9"}
    site.store.put_outbox(make_outbox_entry(id="cancel", kind="cancel", due_at=site.now, body=body))

    work(site, passes=LOOKED_AT)

    assert site.far.counts()["cancel"] == 1
    waiting = owed(site)
    assert {entry.tries for entry in waiting} == {0}
    assert min(entry.due_at for entry in waiting) > site.now + HOUR / 2


def test_clean_ups_that_must_wait_do_not_hold_up_notices(site: Site, receiver: Receiver) -> None:
    deploy(site, hook(receiver, "failed"))
    failed(site)
    site.declare(rates={"cleanup": (Rate(0, 0.001),)})
    for number in range(2 * PER_PASS):
        entry = cleanup(handle=f"fake/{number}", due_in=-HOUR)
        site.store.put_outbox(entry)

    work(site, passes=2)

    assert receiver.events == [("/hook", "flow-run.failed")]


@pytest.mark.parametrize("error", [KeyError("a bug"), ValueError("a bug")])
def test_an_adapters_bug_in_one_clean_up_holds_nobody_up(site: Site, left: list[str], error: Exception) -> None:
    class Buggy(FakeCloud):
        def cleanup(self, target: Target, handle: str) -> None:
            if handle == left[0]:
                raise error
            super().cleanup(target, handle)

    site.cloud = Buggy(site.far)

    work(site)

    assert site.far.left() == left[:1]
    assert len(owed(site)) == 1


def test_a_clean_up_whose_adapter_is_missing_waits_for_it(site: Site) -> None:
    site.pool()
    site.store.put_outbox(cleanup())

    def missing(kind: str) -> Any:
        raise AdapterUnavailable(f"{kind} needs its extra")

    context = site.on(site.store)
    object.__setattr__(context, "infrastructure", missing)
    outbox.work_off(context, POOL, until=site.now + MINUTE)

    [entry] = owed(site)
    assert entry.tries == 1


# time


def test_a_pass_does_so_many_and_says_that_there_are_more(site: Site) -> None:
    site.pool()
    for number in range(PER_PASS + 5):
        site.store.put_outbox(cleanup(handle=f"fake/{number}"))

    first = site.over()
    assert site.far.counts()["cleanup"] == PER_PASS
    assert first.come_back == site.now

    second = site.over()
    assert site.far.counts()["cleanup"] == PER_PASS + 5
    assert second.come_back is None


def test_without_time_left_nothing_is_begun(site: Site) -> None:
    site.pool()
    site.store.put_outbox(cleanup())

    outbox.work_off(site.context, POOL, until=site.now)

    assert len(owed(site)) == 1


def test_another_pools_debts_are_none_of_ours(site: Site) -> None:
    site.pool()
    site.store.put_outbox(
        make_outbox_entry(pool="other", id=make_id(), body={"target": {"type": "fake"}, "handle": "h"})
    )

    work(site)

    assert len(site.store.outbox_due("other", site.now, limit=9)) == 1
