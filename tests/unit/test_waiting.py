"""Every run says why it waits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher import pulses, records
from dispatcher.catalogue import pools, queues
from dispatcher.catalogue.changes import change_deployment
from dispatcher.ports import PoolUnavailable
from dispatcher.runs import FlowRun, Name
from dispatcher.testing.builders import POOL, make_run
from dispatcher.waiting import why

if TYPE_CHECKING:
    from tests.unit.conftest import Site


@pytest.fixture
def run(site: Site) -> FlowRun:
    site.pool(concurrency_limit=5)
    site.deploy(queue="high")
    return site.order()


def reason(site: Site, run: FlowRun) -> str:
    return why(site.store, site.now_of(run), site.now)


def test_one_that_is_not_due_says_when_it_is(site: Site, run: FlowRun) -> None:
    later = site.order(scheduled_time=site.now + timedelta(minutes=5))

    assert reason(site, later) == "due at 2026-03-01 12:05:00 UTC"


def test_one_that_could_start_says_that_it_is_about_to(site: Site, run: FlowRun) -> None:
    assert reason(site, run) == "a pass is about to look at it"


def test_paused_it_says_what_is_paused_the_widest_first(site: Site, run: FlowRun) -> None:
    change_deployment(site.context, "etl", paused=True)
    assert reason(site, run) == "deployment 'etl' is paused"
    queues.pause_queue(site.context, POOL, "high", paused=True)
    assert reason(site, run) == "queue 'high' is paused"
    pools.pause_pool(site.context, POOL, paused=True)
    assert reason(site, run) == "work pool 'pool' is paused"


def test_a_pool_that_is_unavailable_says_why_and_until_when(site: Site, run: FlowRun) -> None:
    pulses.opened(site.store, POOL, PoolUnavailable("access denied"), site.now)

    assert reason(site, run) == "work pool 'pool' is unavailable until 12:00:30 UTC: access denied"


def test_at_a_limit_it_says_which(site: Site, run: FlowRun) -> None:
    site.over()
    waiting = site.order()
    site.deploy(queue="high", concurrency_limit=1)
    assert reason(site, waiting) == "deployment 'etl' is at its limit of 1"
    site.queue("high", concurrency_limit=1)
    assert reason(site, waiting) == "queue 'high' is at its limit of 1"
    site.pool(concurrency_limit=1)
    assert reason(site, waiting) == "work pool 'pool' is at its limit of 1"


def test_a_limit_that_was_lowered_while_more_are_active_is_the_reason_too(site: Site, run: FlowRun) -> None:
    site.order()
    site.over()
    waiting = site.order()

    site.pool(concurrency_limit=1)

    assert reason(site, waiting) == "work pool 'pool' is at its limit of 1"


@pytest.mark.parametrize("name", [Name.RUNNING, Name.COMPLETED, Name.CANCELLED])
def test_what_does_not_wait_has_no_reason(site: Site, name: Name) -> None:
    assert why(site.store, make_run(state=name), site.now) == ""


def test_without_its_queue_it_says_so(site: Site, run: FlowRun) -> None:
    queue = queues.queue_named(site.context, POOL, "high")
    records.remove(site.store, queue)

    assert "is gone" in reason(site, run)
