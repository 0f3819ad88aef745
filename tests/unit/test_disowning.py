"""Containers that no run names are stopped, also where whoever hears of them may not say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher import callbacks
from dispatcher.disowning import disown, nobodys
from dispatcher.errors import Unreachable
from dispatcher.ports import Cause, Event, Move, Observation, Phase
from dispatcher.runs import FlowRun, Name
from dispatcher.testing.builders import POOL, TARGET
from dispatcher.testing.fake_cloud import FakeCloud

if TYPE_CHECKING:
    from tests.unit.conftest import Site

DAY = timedelta(days=1)


@pytest.fixture
def lost(site: Site) -> tuple[FlowRun, str]:
    """A run that was given up, since nobody could tell whether it was started; and the container that was."""
    site.pool()
    site.deploy()
    run = site.order()
    site.far.fail_next("reply lost")
    site.over()
    run = site.now_of(run)
    assert run.current is not None
    assert run.current.handle is None
    (handle,) = site.far.live()
    crashed = replace(
        run, state=replace(run.state, name=Name.CRASHED), slots=(), version=run.version + 1,
    )  # fmt: skip

    site.store.move(Move(run, crashed))
    return crashed, handle


def living(handle: str, phase: Phase = Phase.RUNNING) -> Observation:
    return Observation(phase=phase, handle=handle)


def test_a_living_container_of_an_attempt_that_is_over_is_stopped_by_a_pass(
    site: Site, lost: tuple[FlowRun, str]
) -> None:
    run, handle = lost

    heard = callbacks.hear(site.context, site.cloud, Event(run.id, 1, living(handle)))

    assert heard is None
    assert site.now_of(run) == run
    assert POOL in [pool for pool, _, _ in site.wakes.take()]
    site.over()
    assert site.far.live() == []
    assert list(site.store.outbox_due(POOL, site.now + DAY, limit=9)) == []


def test_it_is_told_once_however_often_it_is_heard_of(site: Site, lost: tuple[FlowRun, str]) -> None:
    run, handle = lost
    site.wakes.take()

    for _ in range(3):
        callbacks.hear(site.context, site.cloud, Event(run.id, 1, living(handle)))

    assert len(site.store.outbox_due(POOL, site.now + DAY, limit=9)) == 1
    assert len(site.wakes.take()) == 1


def test_a_cloud_that_does_not_answer_is_asked_again(
    site: Site, lost: tuple[FlowRun, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, handle = lost
    callbacks.hear(site.context, site.cloud, Event(run.id, 1, living(handle)))
    with monkeypatch.context() as broken:
        broken.setattr(FakeCloud, "cancel", _unreachable)
        site.over()
    assert site.far.live() == [handle]

    site.later(60)
    site.over()

    assert site.far.live() == []


def test_a_late_word_of_a_container_that_was_named_is_only_late(site: Site) -> None:
    site.pool()
    site.deploy()
    run = site.order()
    site.over()
    handle = site.handle(run)
    site.far.finish(handle, 0)
    site.hear()

    callbacks.hear(site.context, site.cloud, Event(run.id, 1, living(handle)))

    assert list(site.store.outbox_due(POOL, site.now + DAY, limit=9)) == []


def test_a_second_container_of_a_living_attempt_is_stopped(site: Site) -> None:
    site.pool()
    site.deploy()
    run = site.order()
    site.over()

    callbacks.hear(site.context, site.cloud, Event(run.id, 1, living("fake/another")))

    (entry,) = site.store.outbox_due(POOL, site.now, limit=9)
    assert (entry.kind, entry.body["handle"]) == ("cancel", "fake/another")
    assert site.now_of(run).is_active


def test_a_container_of_another_submission_of_a_living_attempt_is_stopped(site: Site) -> None:
    site.pool()
    site.deploy()
    site.far.fail_next("timeout")
    run = site.order()
    site.over()

    callbacks.hear(site.context, site.cloud, Event(run.id, 1, living("fake/another"), submit_seq=2))

    (entry,) = site.store.outbox_due(POOL, site.now, limit=9)
    assert (entry.kind, entry.body["handle"]) == ("cancel", "fake/another")
    assert site.now_of(run).attempts[0].handle is None


def test_a_late_reply_whose_container_cannot_be_stopped_now_is_owed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pool()
    site.deploy()
    run = site.order()
    really = FakeCloud.submit

    def cancelled_meanwhile(cloud: FakeCloud, submission: object) -> object:
        outcome = really(cloud, submission)  # type: ignore[arg-type]  # only passed on
        found = site.now_of(run)

        ended = replace(found, state=replace(found.state, name=Name.CANCELLED), slots=(), version=found.version + 1)
        site.store.move(Move(found, ended))
        return outcome

    monkeypatch.setattr(FakeCloud, "submit", cancelled_meanwhile)
    monkeypatch.setattr(FakeCloud, "cancel", _unreachable)
    site.over()
    monkeypatch.undo()
    assert len(site.far.live()) == 1

    site.later(60)
    site.over()

    assert site.far.live() == []


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.MISSING])
def test_what_does_not_live_needs_no_stop(lost: tuple[FlowRun, str], phase: Phase) -> None:
    run, handle = lost
    seen = Observation(phase=phase, handle=handle, cause=Cause.EXITED if phase is Phase.STOPPED else None)

    assert nobodys(run, 1, seen) is None


def test_an_attempt_that_is_not_known_any_more_tells_no_place(lost: tuple[FlowRun, str]) -> None:
    run, handle = lost

    assert nobodys(run, 7, living(handle)) is None


def test_a_container_without_a_handle_cannot_be_asked_for(lost: tuple[FlowRun, str]) -> None:
    assert nobodys(lost[0], 1, living("")) is None


def test_the_handle_of_a_living_attempt_is_recorded_and_not_disowned(site: Site) -> None:
    site.pool()
    site.deploy()
    run = site.order()
    site.far.fail_next("reply lost")
    site.over()
    (handle,) = site.far.live()

    callbacks.hear(site.context, site.cloud, Event(run.id, 1, living(handle)))

    current = site.now_of(run).current
    assert current is not None
    assert current.handle == handle
    assert list(site.store.outbox_due(POOL, site.now + DAY, limit=9)) == []


def test_what_is_owed_names_its_place(site: Site, lost: tuple[FlowRun, str]) -> None:
    disown(site.context, lost[0], TARGET, "fake/1")

    (entry,) = site.store.outbox_due(POOL, site.now, limit=9)
    assert entry.body == {"target": {"type": TARGET.type, **_rest()}, "handle": "fake/1"}


def _rest() -> dict[str, str]:
    said = {"account": TARGET.account, "region": TARGET.region, "group": TARGET.group}
    return {key: value for key, value in said.items() if value}


def _unreachable(*_: object) -> None:
    raise Unreachable("no answer")
