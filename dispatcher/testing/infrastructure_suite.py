"""What every infrastructure keeps. Subclass `InfrastructureSuite` and give it a fixture `cloud`.

A case that a cloud cannot be brought to (`fail_next` and the like answer no) is skipped with that reason.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any

import pytest

from dispatcher.ports import Accepted, Cause, Event, Infrastructure, Phase, Request
from dispatcher.testing.cloud_bench import TOKEN, Cloud, submission
from dispatcher.testing.submission_suite import SubmissionSuite

__all__ = ["Cloud", "InfrastructureSuite"]


class InfrastructureSuite(SubmissionSuite):
    """The contract of `dispatcher.ports.Infrastructure`, sentence by sentence."""

    def test_what_was_never_submitted_is_not_found(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        target = infrastructure.request(cloud.job(run_id)).target

        assert infrastructure.find(target, run_id, 1, 1) is None

    def test_what_was_submitted_is_found_with_its_handle(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))

        found = self.eventually(lambda: cloud.open().find(request.target, run_id, 1, 1))

        assert found.handle == handle
        assert found.phase in (Phase.PENDING, Phase.RUNNING)
        self.stop(infrastructure, request, handle)

    def test_what_has_ended_is_still_found(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=3))
        self.until(infrastructure, request, handle, Phase.STOPPED)

        found = infrastructure.find(request.target, run_id, 1, 1)

        assert found is not None
        assert (found.phase, found.handle, found.exit_code) == (Phase.STOPPED, handle, 3)

    def test_another_attempt_or_submission_is_not_found_in_its_place(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id))
        self.until(infrastructure, request, handle, Phase.STOPPED)

        assert infrastructure.find(request.target, run_id, 1, 2) is None
        assert infrastructure.find(request.target, run_id, 2, 1) is None

    @pytest.mark.parametrize("code", [0, 3, 75])
    def test_an_end_is_described_with_its_exit_code(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str, code: int
    ) -> None:
        seen = self.run_to_its_end(infrastructure, cloud.job(run_id, exits=code))

        assert (seen.exit_code, seen.cause) == (code, Cause.EXITED)

    def test_an_end_has_its_times(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        seen = self.run_to_its_end(infrastructure, cloud.job(run_id))

        assert seen.started is not None
        assert seen.ended is not None
        assert (seen.started.tzinfo, seen.ended.tzinfo) == (UTC, UTC)
        assert seen.started <= seen.ended

    def test_what_runs_is_described_without_an_end(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))

        seen = self.until(infrastructure, request, handle, Phase.RUNNING)

        assert (seen.exit_code, seen.cause, seen.ended) == (None, None, None)
        self.stop(infrastructure, request, handle)

    def test_what_was_killed_is_no_exit_of_its_own(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)
        if not cloud.kill(handle):
            self.stop(infrastructure, request, handle)
            pytest.skip("a container cannot be killed from outside here")

        seen = self.until(infrastructure, request, handle, Phase.STOPPED)

        assert seen.cause is Cause.KILLED

    def test_a_handle_that_the_cloud_does_not_know_is_missing(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id))
        self.until(infrastructure, request, handle, Phase.STOPPED)
        unknown = cloud.unknown_handle()

        seen = infrastructure.describe_many(request.target, [handle, unknown])

        assert {each: word.phase for each, word in seen.items()} == {
            handle: Phase.STOPPED,
            unknown: Phase.MISSING,
        }

    def test_nothing_to_describe_is_no_trouble(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        target = infrastructure.request(cloud.job(run_id)).target

        assert infrastructure.describe_many(target, []) == {}

    def test_a_cancelled_container_stops(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)

        seen = self.stop(cloud.open(), request, handle)

        assert seen.cause in (Cause.STOPPED, Cause.KILLED)

    def test_cancelling_again_and_after_the_end_changes_nothing(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)
        infrastructure.cancel(request.target, handle)
        seen = self.stop(infrastructure, request, handle)

        infrastructure.cancel(request.target, handle)

        again = infrastructure.describe_many(request.target, [handle])[handle]
        assert (again.phase, again.exit_code, again.cause) == (seen.phase, seen.exit_code, seen.cause)

    def test_cancelling_what_ended_by_itself_leaves_its_end_as_it_is(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=0))
        self.until(infrastructure, request, handle, Phase.STOPPED)

        seen = self.stop(infrastructure, request, handle)

        assert (seen.exit_code, seen.cause) == (0, Cause.EXITED)

    def test_cancelling_what_never_was_is_no_error(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        target = infrastructure.request(cloud.job(run_id)).target

        infrastructure.cancel(target, cloud.unknown_handle())

    def test_cleaning_up_twice_or_what_never_was_is_no_error(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id))
        self.until(infrastructure, request, handle, Phase.STOPPED)

        for each in (handle, handle, cloud.unknown_handle()):
            infrastructure.cleanup(request.target, each)

        assert cloud.started(run_id) == 1

    def test_links_are_the_same_whoever_asks(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id))

        links = infrastructure.links(request.target, handle)

        assert links == cloud.open().links(request.target, handle)
        assert all(links.values())
        self.until(infrastructure, request, handle, Phase.STOPPED)

    def test_the_token_is_nowhere_to_be_seen(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        job = cloud.job(run_id, prints="output")
        request = infrastructure.request(job)
        sent = submission(job, request)
        outcome = infrastructure.submit(sent)
        assert isinstance(outcome, Accepted)
        seen = self.until(infrastructure, request, outcome.handle, Phase.STOPPED)

        said = [
            repr(sent),
            json.dumps(request.body),
            repr(outcome),
            json.dumps(asdict(seen), default=str),
            json.dumps(dict(infrastructure.links(request.target, outcome.handle))),
            repr(self.log_of(infrastructure, request, outcome.handle)),
        ]

        assert TOKEN not in "\n".join(said)

    def test_what_it_printed_can_be_read_where_there_are_logs(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, prints="seven lines"))
        self.until(infrastructure, request, handle, Phase.STOPPED)

        log = self.log_of(infrastructure, request, handle)

        if log is None:
            pytest.skip("it hands out no logs")
        assert "seven lines" in log

    def log_of(self, infrastructure: Infrastructure, request: Request, handle: str) -> str | None:
        read: Callable[..., str | None] | None = getattr(infrastructure, "log", None)
        return read(request.target, handle) if read is not None else None

    def test_an_event_says_what_describing_says(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, attempt=2, exits=3))
        seen = self.until(infrastructure, request, handle, Phase.STOPPED)
        raw = cloud.event(handle)
        if raw is None:
            pytest.skip("it sends no events")

        event = cloud.open().parse_event(raw)

        assert event is not None
        assert (event.run_id, event.attempt) == (run_id, 2)
        said = event.observation
        assert (said.phase, said.handle, said.exit_code, said.cause) == (
            Phase.STOPPED,
            handle,
            seen.exit_code,
            seen.cause,
        )

    @pytest.mark.parametrize("raw", [{}, {"detail": {}}, {"source": "somebody.else", "detail": {"status": "STOPPED"}}])
    def test_an_event_about_something_else_is_none_of_ours(
        self, infrastructure: Infrastructure, raw: Mapping[str, Any]
    ) -> None:
        assert infrastructure.parse_event(raw) is None

    def test_an_end_is_told_of_where_it_watches(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        watch: Callable[[Callable[[Event], None]], None] | None = getattr(infrastructure, "watch", None)
        if watch is None:
            pytest.skip("it does not watch")
        told: list[Event] = []
        is_told = threading.Event()

        def tell(event: Event) -> None:
            if event.run_id == run_id and event.observation.phase is Phase.STOPPED:
                told.append(event)
                is_told.set()

        watch(tell)
        _, handle = self.start(infrastructure, cloud.job(run_id, exits=3))

        assert is_told.wait(self.patience_seconds)
        assert (told[0].attempt, told[0].observation.handle, told[0].observation.exit_code) == (1, handle, 3)

    def test_what_it_declares_makes_sense(self, infrastructure: Infrastructure) -> None:
        traits = infrastructure.traits

        assert traits.submit_deadline.total_seconds() > 0
        assert traits.start_deadline >= traits.submit_deadline
        assert traits.parallel >= 1
        assert traits.describe_batch >= 1
        assert all(rate.burst >= 1 and rate.per_second > 0 for rates in traits.rates.values() for rate in rates)

    def test_a_diagnosis_says_what_to_do(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        checks = infrastructure.diagnose(cloud.job(run_id).configuration)

        assert [name for name, passed, way_out in checks if not passed and not way_out] == []
        assert cloud.started(run_id) == 0
