"""What every infrastructure keeps of requests and submissions: part of `infrastructure_suite`."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from dispatcher.ports import (
    Accepted,
    Infrastructure,
    Job,
    NotNow,
    Outcome,
    Phase,
    PoolUnavailable,
    Rejected,
    Request,
    Unknown,
)
from dispatcher.testing.cloud_bench import Cloud, CloudBench, submission
from dispatcher.watch import traits_at

OUTCOMES: list[tuple[str, type[Outcome]]] = [
    ("throttled", NotNow),
    ("denied", PoolUnavailable),
    ("rejected", Rejected),
    ("timeout", Unknown),
]


class SubmissionSuite(CloudBench):
    """The same bytes to the same place start one container, whoever sends them and however often.

    Where a cloud promises no such thing, it says so of itself (`token_life` 0), and no submission is repeated.
    """

    def repeatable(self, infrastructure: Infrastructure, job: Job) -> Job:
        """The job; the case is skipped if the infrastructure says that a repeat of it is not safe."""
        target = infrastructure.request(job).target
        if traits_at(infrastructure, target).token_life == timedelta(0):
            pytest.skip("no submission is repeated here")
        return job

    def test_the_same_job_gives_the_same_request(self, cloud: Cloud, run_id: str) -> None:
        first = cloud.open().request(cloud.job(run_id))
        second = cloud.open().request(cloud.job(run_id))

        assert first == second
        assert json.dumps(first.body) == json.dumps(second.body)

    def test_making_a_request_starts_nothing(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        infrastructure.request(cloud.job(run_id))

        assert cloud.started(run_id) == 0

    def test_a_request_survives_being_stored(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        job = cloud.job(run_id)
        request = infrastructure.request(job)
        stored = Request(request.target, json.loads(json.dumps(request.body)))

        outcome = cloud.open().submit(submission(job, stored))

        assert isinstance(outcome, Accepted)
        assert self.until(infrastructure, stored, outcome.handle, Phase.STOPPED).exit_code == 0

    def test_a_submission_starts_one_container(self, cloud: Cloud, infrastructure: Infrastructure, run_id: str) -> None:
        self.run_to_its_end(infrastructure, cloud.job(run_id))

        assert cloud.started(run_id) == 1

    def test_a_repeated_submission_starts_nothing_and_has_the_same_handle(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = self.repeatable(infrastructure, cloud.job(run_id))
        request, handle = self.start(infrastructure, job)

        repeated = infrastructure.submit(submission(job, request))

        assert isinstance(repeated, Accepted)
        assert repeated.handle == handle
        self.until(infrastructure, request, handle, Phase.STOPPED)
        assert cloud.started(run_id) == 1

    def test_a_repeat_by_another_process_starts_nothing(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = self.repeatable(infrastructure, cloud.job(run_id))
        request, handle = self.start(infrastructure, job)
        self.until(infrastructure, request, handle, Phase.STOPPED)

        repeated = cloud.open().submit(submission(job, request))

        assert isinstance(repeated, Accepted)
        assert repeated.handle == handle
        assert cloud.started(run_id) == 1

    def test_of_two_threads_that_submit_the_same_one_starts_it(self, cloud: Cloud, run_id: str) -> None:
        adapters = [cloud.open(), cloud.open()]
        job = self.repeatable(adapters[0], cloud.job(run_id))
        request = adapters[0].request(job)
        together = Barrier(len(adapters))

        def submit(adapter: Infrastructure) -> Outcome:
            together.wait(self.patience_seconds)
            return adapter.submit(submission(job, request))

        with ThreadPoolExecutor(len(adapters)) as threads:
            outcomes = list(threads.map(submit, adapters))

        handles = {outcome.handle for outcome in outcomes if isinstance(outcome, Accepted)}
        assert len(handles) == 1, outcomes
        self.until(adapters[0], request, handles.pop(), Phase.STOPPED)
        assert cloud.started(run_id) == 1

    def test_another_attempt_and_another_submission_start_their_own(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        jobs = [cloud.job(run_id, attempt=attempt, submit_seq=seq) for attempt, seq in ((1, 1), (1, 2), (2, 1))]

        handles = [self.start(infrastructure, job) for job in jobs]

        assert len({handle for _, handle in handles}) == 3
        for request, handle in handles:
            self.until(infrastructure, request, handle, Phase.STOPPED)
        assert cloud.started(run_id) == 3

    @pytest.mark.parametrize(("kind", "expected"), OUTCOMES, ids=[kind for kind, _ in OUTCOMES])
    def test_what_goes_wrong_is_an_outcome_and_starts_nothing(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str, kind: str, expected: type[Outcome]
    ) -> None:
        job = cloud.job(run_id)
        request = infrastructure.request(job)
        self.arrange(cloud, kind)

        outcome = infrastructure.submit(submission(job, request))

        assert isinstance(outcome, expected)
        assert infrastructure.find(request.target, run_id, 1, 1) is None
        assert cloud.started(run_id) == 0

    @pytest.mark.parametrize("kind", ["throttled", "denied", "timeout"])
    def test_after_trouble_the_next_try_starts_it(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str, kind: str
    ) -> None:
        job = cloud.job(run_id)
        request = infrastructure.request(job)
        self.arrange(cloud, kind)
        infrastructure.submit(submission(job, request))

        self.run_to_its_end(infrastructure, job)

        assert cloud.started(run_id) == 1

    def test_after_a_lost_reply_the_repeat_finds_what_was_started(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = self.repeatable(infrastructure, cloud.job(run_id))
        request = infrastructure.request(job)
        self.arrange(cloud, "reply lost")

        assert isinstance(infrastructure.submit(submission(job, request)), Unknown)

        self.run_to_its_end(infrastructure, job)
        assert cloud.started(run_id) == 1

    def test_after_a_lost_reply_what_was_started_is_found(
        self, cloud: Cloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.job(run_id)
        request = infrastructure.request(job)
        self.arrange(cloud, "reply lost")
        assert isinstance(infrastructure.submit(submission(job, request)), Unknown)

        found = self.eventually(lambda: cloud.open().find(request.target, run_id, 1, 1))

        self.until(infrastructure, request, found.handle, Phase.STOPPED)
        assert cloud.started(run_id) == 1
