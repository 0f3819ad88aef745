"""Tasks of the local AWS account are real containers that live and end as AWS's do; boto3 is the judge."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from dispatcher.testing.servers.ecs_cluster import EcsCluster, log_lines
from dispatcher.testing.servers.loopback import Silent, serving

WAITS = "import signal, time\nsignal.signal(15, lambda *_: exit(%d))\nprint('waits', flush=True)\ntime.sleep(600)"


class TestATask:
    def test_runs_its_command_and_tells_its_exit_code(self, cluster: EcsCluster) -> None:
        arn = cluster.start("sh", "-c", "exit 7")

        task = cluster.until(arn, "STOPPED")

        assert [container["exitCode"] for container in task["containers"]] == [7]
        assert (task["stopCode"], task["desiredStatus"]) == ("EssentialContainerExited", "STOPPED")
        assert task["createdAt"] <= task["startedAt"] <= task["stoppedAt"]

    def test_is_answered_before_it_runs(self, cluster: EcsCluster) -> None:
        task = cluster.run("true", startedBy="pp/1/1")["tasks"][0]

        assert (task["lastStatus"], task["version"], task["startedBy"]) == ("PROVISIONING", 1, "pp/1/1")
        assert task["group"] == f"family:{cluster.name}"

    def test_gets_the_overrides_over_its_definition(self, cluster: EcsCluster, log_group: str) -> None:
        container = {
            "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            **cluster.logging_to(log_group),
        }
        definition = cluster.register(container=container)

        arn = cluster.start("sh", "-c", "echo $A$B$C", taskDefinition=definition, environment={"B": "3", "C": "4"})

        cluster.until(arn, "STOPPED")
        assert log_lines(cluster.account, log_group, f"run/run/{arn.rsplit('/', 1)[-1]}") == ["134"]

    def test_has_logged_all_before_it_is_stopped(self, cluster: EcsCluster, log_group: str) -> None:
        definition = cluster.register(container=cluster.logging_to(log_group))

        arn = cluster.start("sh", "-c", "seq 5000; printf last", taskDefinition=definition)

        cluster.until(arn, "STOPPED")
        seen = log_lines(cluster.account, log_group, f"run/run/{arn.rsplit('/', 1)[-1]}")
        assert seen == [*map(str, range(1, 5001)), "last"]

    def test_has_the_runner_on_its_path(self, cluster: EcsCluster) -> None:
        arn = cluster.start("pushpool-run", "--", "sh", "-c", "exit 3")

        assert cluster.until(arn, "STOPPED")["containers"][0]["exitCode"] == 3

    def test_reaches_a_server_of_this_machine(self, cluster: EcsCluster) -> None:
        with serving(_Hello) as served:
            url = cluster.account.reachable_from_containers(int(served.rpartition(":")[2]))
            code = "import sys, urllib.request as u; sys.exit(u.urlopen(sys.argv[1]).read() != b'hello')"

            task = cluster.until(cluster.start("python3", "-c", code, url), "STOPPED")
        assert task["containers"][0]["exitCode"] == 0

    def test_that_minds_sigterm_ends_with_its_own_code(self, cluster: EcsCluster, log_group: str) -> None:
        definition = cluster.register(container=cluster.logging_to(log_group))
        arn = cluster.start("python3", "-c", WAITS % 143, taskDefinition=definition)
        cluster.until_it_says(arn, log_group, "waits")

        asked = cluster.ecs.stop_task(cluster=cluster.name, task=arn, reason="enough")["task"]

        assert asked["desiredStatus"] == "STOPPED"
        task = cluster.until(arn, "STOPPED")
        assert task["containers"][0]["exitCode"] == 143
        assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")

    def test_that_ignores_sigterm_is_killed(self, cluster: EcsCluster) -> None:
        arn = cluster.start("sleep", "600", taskDefinition=cluster.register(container={"stopTimeout": 2}))
        cluster.until(arn, "RUNNING")

        cluster.ecs.stop_task(cluster=cluster.name, task=arn)

        assert cluster.until(arn, "STOPPED")["containers"][0]["exitCode"] == 137

    def test_may_be_stopped_before_it_runs(self, cluster: EcsCluster) -> None:
        arn = cluster.start("sleep", "600")

        cluster.ecs.stop_task(cluster=cluster.name, task=arn)

        assert cluster.until(arn, "STOPPED")["stopCode"] == "UserInitiated"

    def test_whose_memory_runs_out_is_killed_and_says_so(self, cluster: EcsCluster) -> None:
        definition = cluster.register(container={"memory": 64})

        arn = cluster.start("python3", "-c", "len(bytearray(512 << 20))", taskDefinition=definition)

        container = cluster.until(arn, "STOPPED")["containers"][0]
        assert (container["exitCode"], container["reason"].partition(":")[0]) == (137, "OutOfMemoryError")

    def test_ends_with_its_essential_container(self, cluster: EcsCluster) -> None:
        sides = [
            {"name": "run", "image": cluster.account.image},
            {"name": "side", "image": cluster.account.image, "essential": False, "command": ["sleep", "600"],
             "stopTimeout": 1},
        ]  # fmt: skip

        arn = cluster.start("sh", "-c", "exit 5", taskDefinition=cluster.register(containerDefinitions=sides))

        task = cluster.until(arn, "STOPPED")
        assert [container["exitCode"] for container in task["containers"]] == [5, 137]
        assert task["stopCode"] == "EssentialContainerExited"

    def test_without_its_image_never_starts(self, cluster: EcsCluster) -> None:
        arn = cluster.start("true", taskDefinition=cluster.register(container={"image": "nowhere/to-be:found"}))

        task = cluster.until(arn, "STOPPED")

        assert (task["stopCode"], task["containers"]) == ("TaskFailedToStart", [])
        assert task["stoppedReason"].startswith("CannotPullContainerError")
        assert "startedAt" not in task

    def test_without_its_command_never_starts(self, cluster: EcsCluster) -> None:
        task = cluster.until(cluster.start("no-such-command"), "STOPPED")

        assert (task["stopCode"], task["stoppedReason"]) == ("TaskFailedToStart", "Task failed to start")
        assert task["containers"][0]["reason"].startswith("CannotStartContainerError")

    def test_without_its_log_group_never_starts(self, cluster: EcsCluster) -> None:
        arn = cluster.start("true", taskDefinition=cluster.register(container=cluster.logging_to("/no/such")))

        task = cluster.until(arn, "STOPPED")

        assert task["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args")

    def test_shows_its_tags_to_who_asks_until_it_is_stopped_by_hand(self, cluster: EcsCluster) -> None:
        tags = [{"key": "run", "value": "1"}]
        arn = cluster.start("sleep", "600", tags=tags)

        assert cluster.describe(arn, include=["TAGS"])["tags"] == tags
        assert not cluster.describe(arn).get("tags")
        cluster.ecs.stop_task(cluster=cluster.name, task=arn)
        assert not cluster.describe(arn, include=["TAGS"]).get("tags")


class _Hello(Silent, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")
