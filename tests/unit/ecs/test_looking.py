"""Finding, describing and stopping tasks, and what EventBridge tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.infrastructure import ecs
from adapters.infrastructure.ecs import places
from dispatcher.errors import Unreachable
from dispatcher.ports import Cause, Phase
from dispatcher.runs import Target

Json = dict[str, Any]
Error = Callable[..., Any]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
ARN = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/"
TASK = ARN + "0123456789abcdef0123456789abcdef"
OTHER = ARN + "00000000000000000000000000000000"
TARGET = Target("ecs:push", region="eu-central-1", group="jobs")


def described(arn: str = TASK, status: str = "RUNNING", **more: Any) -> Json:
    times = {"startedAt": 1795323600.5} | ({"stoppedAt": 1795323610.0} if status == "STOPPED" else {})
    return {"taskArn": arn, "lastStatus": status, "containers": [{"name": "run", **more}], **times}


class TestFind:
    def test_what_runs_is_asked_for_first_and_then_what_has_stopped(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", {"taskArns": []}, {"taskArns": [TASK]})
        aws.says("DescribeTasks", {"tasks": [described(status="STOPPED", exitCode=3)], "failures": []})

        found = adapter.find(TARGET, RUN, 2, 5)

        assert found is not None
        assert (found.phase, found.handle, found.exit_code) == (Phase.STOPPED, TASK, 3)
        wanted = {"cluster": "jobs", "startedBy": f"pushpool/{RUN}/2/5"}
        assert aws.sent("ListTasks") == [wanted, {**wanted, "desiredStatus": "STOPPED"}]

    def test_what_is_nowhere_is_not_found(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", {"taskArns": []})

        assert adapter.find(TARGET, RUN, 1, 1) is None
        assert len(aws.sent("ListTasks")) == 2

    def test_of_several_the_one_that_lives_counts(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", {"taskArns": [OTHER, TASK]})
        aws.says("DescribeTasks", {"tasks": [described(OTHER, "STOPPED"), described(TASK)], "failures": []})

        found = adapter.find(TARGET, RUN, 1, 1)

        assert found is not None
        assert found.handle == TASK

    def test_what_is_listed_and_cannot_yet_be_described_is_there(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", {"taskArns": [TASK]})
        aws.says("DescribeTasks", {"tasks": [], "failures": [{"arn": TASK, "reason": "MISSING"}]})

        found = adapter.find(TARGET, RUN, 1, 1)

        assert found is not None
        assert (found.phase, found.handle) == (Phase.PENDING, TASK)

    def test_a_cluster_that_is_gone_has_no_tasks(self, aws: Any, error: Error, adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", error("ClusterNotFoundException"))

        assert adapter.find(TARGET, RUN, 1, 1) is None

    @pytest.mark.parametrize("code", ["ThrottlingException", "ServerException", "ExpiredTokenException"])
    def test_no_answer_is_no_word(self, aws: Any, error: Error, adapter: ecs.Ecs, code: str) -> None:
        aws.says("ListTasks", error(code, status=500 if code.startswith("Server") else 400))

        with pytest.raises(Unreachable, match=f"ListTasks: {code}"):
            adapter.find(TARGET, RUN, 1, 1)

    def test_who_may_not_look_is_told_what_to_allow(self, aws: Any, error: Error, adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", error("AccessDeniedException", "x is not authorized to perform: ecs:ListTasks"))

        with pytest.raises(Unreachable, match="allow ecs:ListTasks"):
            adapter.find(TARGET, RUN, 1, 1)

    def test_where_it_was_sent_is_where_it_is_looked_for(self, aws: Any, lone_adapter: ecs.Ecs) -> None:
        aws.says("ListTasks", {"taskArns": []})

        lone_adapter.find(Target("ecs:push", region="us-east-1", group="jobs"), RUN, 1, 1)

        assert lone_adapter._clients.of("ecs", "us-east-1").meta.region_name == "us-east-1"
        assert [region for _, region in lone_adapter._clients._made] == ["us-east-1"]


class TestDescribe:
    def test_each_handle_gets_a_word(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("DescribeTasks", {"tasks": [described()], "failures": [{"arn": OTHER, "reason": "MISSING"}]})

        seen = adapter.describe_many(TARGET, [TASK, OTHER])

        assert {handle: word.phase for handle, word in seen.items()} == {TASK: Phase.RUNNING, OTHER: Phase.MISSING}

    def test_a_handle_that_is_none_does_not_spoil_the_others(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("DescribeTasks", {"tasks": [described()], "failures": []})

        seen = adapter.describe_many(TARGET, [TASK, "nonsense"])

        assert seen["nonsense"].phase is Phase.MISSING
        assert aws.sent("DescribeTasks") == [{"cluster": "jobs", "tasks": [TASK]}]

    def test_they_are_asked_for_by_the_hundred(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("DescribeTasks", {"tasks": [], "failures": []})

        adapter.describe_many(TARGET, [f"{ARN}{n:032x}" for n in range(201)])

        assert [len(asked["tasks"]) for asked in aws.sent("DescribeTasks")] == [100, 100, 1]

    def test_no_answer_is_no_word(self, aws: Any, lost: Any, adapter: ecs.Ecs) -> None:
        aws.says("DescribeTasks", lost)

        with pytest.raises(Unreachable, match="DescribeTasks"):
            adapter.describe_many(TARGET, [TASK])


class TestCancel:
    def test_it_is_asked_to_stop(self, aws: Any, adapter: ecs.Ecs) -> None:
        aws.says("StopTask", {"task": {}})

        adapter.cancel(TARGET, TASK)

        assert aws.sent("StopTask") == [{"cluster": "jobs", "task": TASK, "reason": "stopped by pushpool"}]

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("InvalidParameterException", "The referenced task was not found."),
            ("ClusterNotFoundException", "Cluster not found."),
        ],
    )
    def test_one_that_is_gone_is_no_error(
        self, aws: Any, error: Error, adapter: ecs.Ecs, code: str, message: str
    ) -> None:
        aws.says("StopTask", error(code, message))

        adapter.cancel(TARGET, TASK)

    def test_a_handle_that_is_none_is_not_asked_about(self, aws: Any, adapter: ecs.Ecs) -> None:
        adapter.cancel(TARGET, "nonsense")

        assert aws.asked == []

    @pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InvalidParameterException"])
    def test_whatever_else_goes_wrong_is_said(self, aws: Any, error: Error, adapter: ecs.Ecs, code: str) -> None:
        aws.says("StopTask", error(code, "no"))

        with pytest.raises(Unreachable, match=code):
            adapter.cancel(TARGET, TASK)


class TestEvents:
    """What comes is believed only as far as it says that it is about a task of ours."""

    def event(self, **detail: Any) -> Json:
        return {
            "version": "0",
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "detail": {
                "taskArn": TASK,
                "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs",
                "lastStatus": "STOPPED",
                "desiredStatus": "STOPPED",
                "startedBy": f"pushpool/{RUN}/2/7",
                "startedAt": "2026-11-22T05:00:00.5Z",
                "stoppedAt": "2026-11-22T05:00:10Z",
                "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited",
                "containers": [{"name": "run", "exitCode": 3}],
                "version": 5,
                **detail,
            },
        }

    def test_it_is_the_cloud_s_word_on_an_attempt(self, adapter: ecs.Ecs) -> None:
        told = adapter.parse_event(self.event())

        assert told is not None
        assert (told.run_id, told.attempt, told.submit_seq) == (RUN, 2, 7)
        seen = told.observation
        assert (seen.phase, seen.handle, seen.exit_code, seen.cause) == (Phase.STOPPED, TASK, 3, Cause.EXITED)

    def test_it_needs_no_credentials_and_no_network(self, lone_adapter: ecs.Ecs, nobody_there: None) -> None:
        lone_adapter.parse_event(self.event())

        assert lone_adapter._clients._made == {}

    @pytest.mark.parametrize(
        "started_by",
        [
            None,
            "",
            "ecs-svc/123",
            "pushpool",
            f"pushpool/{RUN}",
            f"pushpool/{RUN}/2",
            f"pushpool/{RUN}/two/1",
            f"pushpool/{RUN}/2/1/x",
            f"xpushpool/{RUN}/2/1",
            f"pushpool/{RUN}/2/1\n",
            f"pushpool/../{RUN}/2/1",
            17,
            ["pushpool"],
        ],
    )
    def test_a_task_of_others_is_none_of_ours(self, adapter: ecs.Ecs, started_by: object) -> None:
        assert adapter.parse_event(self.event(startedBy=started_by)) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"source": "somebody.else"},
            {"detail-type": "ECS Service Action"},
            {"detail": None},
            {"detail": ["x"]},
            {"detail": {}},
            {"detail": {"startedBy": f"pushpool/{RUN}/2/7"}},
        ],
    )
    def test_an_event_of_another_kind_is_none_of_ours(self, adapter: ecs.Ecs, change: Json) -> None:
        assert adapter.parse_event({**self.event(), **change}) is None

    def test_a_handle_that_is_no_task_is_not_believed(self, adapter: ecs.Ecs) -> None:
        assert adapter.parse_event(self.event(taskArn="arn:aws:iam::1:role/x")) is None

    @pytest.mark.parametrize("containers", [None, [], ["x"], {"a": "b"}, [{"exitCode": "3"}]])
    def test_strange_containers_do_no_harm(self, adapter: ecs.Ecs, containers: object) -> None:
        told = adapter.parse_event(self.event(containers=containers))

        assert told is not None
        assert (told.observation.phase, told.observation.exit_code) == (Phase.STOPPED, None)

    def test_nothing_of_its_environment_is_passed_on(self, adapter: ecs.Ecs) -> None:
        pairs = [{"name": "PUSHPOOL_RUN_ID", "value": RUN}, {"name": "PUSHPOOL_RUN_TOKEN", "value": "pp1.secret"}]
        overrides = {"containerOverrides": [{"name": "run", "environment": pairs}]}

        told = adapter.parse_event(self.event(overrides=overrides, stopCode="TaskFailedToStart"))

        assert told is not None
        assert "pp1.secret" not in repr(told)


class TestPlaces:
    @pytest.mark.parametrize(
        ("arn", "cluster", "expected"),
        [
            (TASK, "jobs", "https://eu-central-1.console.aws.amazon.com/ecs/v2/clusters/jobs/tasks/"),
            ("arn:aws:ecs:us-east-1:1:task/0123", "arn:aws:ecs:us-east-1:1:cluster/old", "/clusters/old/tasks/0123/"),
            ("arn:aws-cn:ecs:cn-north-1:1:task/a/b", "a", "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/a/"),
            ("arn:aws-us-gov:ecs:us-gov-west-1:1:task/a/b", "a", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
            ("nonsense", "a", ""),
        ],
    )
    def test_the_console_is_where_the_task_is(self, arn: str, cluster: str, expected: str) -> None:
        assert expected in places.console_link(arn, cluster)
        assert bool(expected) == bool(places.console_link(arn, cluster))

    def test_links_are_pure_and_hold_what_can_be_told_from_the_handle(
        self, lone_adapter: ecs.Ecs, nobody_there: None
    ) -> None:
        assert set(lone_adapter.links(TARGET, TASK)) == {"console"}
        assert lone_adapter.links(TARGET, "nonsense") == {}

    def test_started_by_is_what_ecs_takes_and_is_read_back(self) -> None:
        started = places.started_by(RUN, 999_999, 999_999_999)

        assert len(started) <= 128
        assert places.origin(started) == places.Origin(RUN, 999_999, 999_999_999)

    @pytest.mark.parametrize("options", [{}, {"awslogs-group": "g"}, {"awslogs-stream-prefix": "p"}])
    def test_a_log_without_group_or_prefix_has_no_link(self, options: dict[str, str]) -> None:
        assert places.logs_link(TASK, "run", options) == ""


def test_what_it_declares_of_itself(adapter: ecs.Ecs) -> None:
    traits = adapter.traits

    assert traits.token_life is not None
    assert traits.token_life.total_seconds() + traits.submit_deadline.total_seconds() < 3600
    assert traits.start_deadline < traits.token_life
    assert traits.cleanup_after is None
    assert adapter.cleanup(TARGET, TASK) is None  # type: ignore[func-returns-value]
