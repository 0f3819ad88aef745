"""What the local Azure Container Instances do with container groups, as Azure's own client sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core import exceptions

from dispatcher.testing.servers.azure.resource_group import ResourceGroup, current, refused
from dispatcher.testing.servers.ecs_cluster import eventually

Json = dict[str, Any]


class TestCreating:
    def test_a_command_runs_and_its_end_is_told(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "echo some words; exit 3")

        found = mine.ended(name)

        assert (found.provisioning_state, found.instance_view.state) == ("Succeeded", "Failed")
        assert (current(found).state, current(found).exit_code, current(found).detail_status) == (
            "Terminated",
            3,
            "Error",
        )
        assert current(found).start_time <= current(found).finish_time
        assert mine.log(name) == "some words\n"

    def test_a_command_that_exits_well_succeeds(self, mine: ResourceGroup) -> None:
        found = mine.ended(mine.start("true"))

        assert (found.instance_view.state, current(found).detail_status) == ("Succeeded", "Completed")

    def test_the_operation_is_done_when_the_containers_run(self, mine: ResourceGroup) -> None:
        made = mine.groups.begin_create_or_update(mine.name, "polled", mine.body("sleep", "60")).result()

        assert (made.provisioning_state, made.instance_view.state) == ("Succeeded", "Running")

    def test_a_container_is_told_its_variables_and_nothing_else(self, mine: ResourceGroup) -> None:
        pairs = [{"name": "A", "value": "1"}, {"name": "B", "secureValue": "2"}]
        name = mine.start("env", container={"environmentVariables": pairs})
        mine.ended(name)

        told = dict(line.split("=", 1) for line in mine.log(name).splitlines())

        assert (told["A"], told["B"]) == ("1", "2")
        assert told.keys() <= {"A", "B", "PATH", "HOME", "PWD", "SHLVL", "_", "LC_CTYPE"}

    def test_the_runner_is_on_the_path(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "command -v pushpool-run; command -v python")
        mine.ended(name)

        assert len(mine.log(name).splitlines()) == 2

    def test_secrets_are_never_shown(self, mine: ResourceGroup) -> None:
        body = mine.body(
            "true",
            container={"environmentVariables": [{"name": "A", "secureValue": "hidden-1"}]},
            imageRegistryCredentials=[{"server": "one.example", "username": "me", "password": "hidden-2"}],
            diagnostics={"logAnalytics": {"workspaceId": "w", "workspaceKey": "hidden-3"}},
            volumes=[
                {"name": "s", "secret": {"file": "hidden-4"}},
                {
                    "name": "f",
                    "azureFile": {"shareName": "s", "storageAccountName": "a", "storageAccountKey": "hidden-5"},
                },
            ],
        )

        name = mine.put(body)

        mine.ended(name)
        said = json.dumps([mine.get(name).serialize(keep_readonly=True), *_listed(mine)])
        assert '"A"' in said
        assert "hidden" not in said

    def test_instance_views_are_of_one_group_alone(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        assert mine.ended(name).instance_view is not None

        listed = list(mine.groups.list_by_resource_group(mine.name))

        assert [each.name for each in listed] == [name]
        assert listed[0].instance_view is None
        assert listed[0].containers[0].instance_view is None

    def test_a_command_that_is_not_there_fails(self, mine: ResourceGroup) -> None:
        found = mine.ended(mine.start("/nowhere/program"))

        assert (found.instance_view.state, current(found).exit_code) == ("Failed", 127)
        assert found.containers[0].instance_view.events[-1].name == "Failed"

    def test_containers_of_a_group_run_side_by_side(self, mine: ResourceGroup) -> None:
        body = mine.body("true")
        second = {**body["properties"]["containers"][0], "name": "second"}
        second["properties"] = {**second["properties"], "command": ["false"]}
        body["properties"]["containers"].append(second)

        found = mine.ended(mine.put(body))

        assert found.instance_view.state == "Failed"
        assert [each.instance_view.current_state.exit_code for each in found.containers] == [0, 1]


class TestTheSameNameAgain:
    def test_while_it_is_created_the_name_is_taken(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")
            assert mine.get(name).provisioning_state in ("Pending", "Creating")

            with pytest.raises(exceptions.HttpResponseError) as caught:
                mine.put(mine.body("true"), name)

        assert refused(caught.value) == (409, "ContainerGroupTransitioning")
        mine.ended(name)
        assert mine.started(name) == 1

    def test_what_is_held_until_it_is_seen_runs_when_it_was(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held(until_seen=True):
            name = mine.start("true")

            assert mine.get(name).provisioning_state in ("Pending", "Creating")
            mine.ended(name)

    def test_while_it_runs_the_same_again_changes_nothing(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")

        mine.put(mine.body("sleep", "60"), name)

        assert mine.started(name) == 1

    def test_while_it_runs_another_body_starts_it_again(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")

        mine.put(mine.body("sh", "-c", "exit 5"), name)

        assert current(mine.until(name, "Failed")).exit_code == 5
        assert mine.started(name) == 2

    def test_after_its_end_the_same_again_starts_it_again(self, mine: ResourceGroup) -> None:
        """The trap: whoever asks twice has it run twice."""
        name = mine.start("true")
        mine.ended(name)

        mine.put(mine.body("true"), name)

        mine.ended(name)
        assert mine.started(name) == 2

    def test_in_another_region_it_is_refused(self, mine: ResourceGroup) -> None:
        name = mine.start("true")

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.put(mine.body("true", location="northeurope"), name)

        assert refused(caught.value) == (409, "InvalidResourceLocation")

    def test_in_another_region_after_its_deletion_it_is_suspicious(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        mine.ended(name)
        mine.delete(name)

        with pytest.raises(exceptions.HttpResponseError, match="Limit: '0', Usage: '0'") as caught:
            mine.put(mine.body("true", location="northeurope"), name)

        assert refused(caught.value) == (409, "ServiceUnavailable")


class TestStoppingAndDeleting:
    def test_a_stop_ends_the_containers_and_keeps_their_log(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "echo begun; exec sleep 60")
        eventually(lambda: "begun" in mine.api.log(name))

        mine.groups.stop(mine.name, name)

        found = mine.until(name, "Stopped")
        assert (current(found).state, current(found).exit_code) == ("Terminated", 143)
        assert mine.log(name) == "begun\n"

    def test_what_does_not_listen_is_killed_after_the_grace(self, mine: ResourceGroup) -> None:
        mine.api.behave(grace_seconds=0.05)
        name = mine.start("sh", "-c", "trap '' TERM; echo begun; sleep 60 & wait; wait")
        eventually(lambda: "begun" in mine.api.log(name))

        mine.groups.stop(mine.name, name)

        assert current(mine.until(name, "Stopped")).exit_code == 137

    def test_a_stop_after_the_end_changes_nothing(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        mine.ended(name)

        mine.groups.stop(mine.name, name)

        assert mine.get(name).instance_view.state == "Succeeded"

    def test_a_stop_while_it_is_created_is_refused(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")

            with pytest.raises(exceptions.HttpResponseError) as caught:
                mine.groups.stop(mine.name, name)

        assert refused(caught.value) == (409, "ContainerGroupTransitioning")

    def test_what_was_stopped_can_be_started_again(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")
        mine.groups.stop(mine.name, name)
        mine.until(name, "Stopped")

        mine.groups.begin_start(mine.name, name).wait()

        mine.until(name, "Running")
        mine.groups.begin_restart(mine.name, name).wait()
        mine.until(name, "Running")
        assert mine.started(name) == 3

    def test_what_runs_is_gone_when_its_containers_are(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "trap 'sleep 0.1; exit' TERM; echo begun; sleep 60 & wait")
        eventually(lambda: "begun" in mine.api.log(name))

        mine.groups.begin_delete(mine.name, name, polling=False)

        assert mine.get(name).provisioning_state == "Deleting"
        eventually(lambda: name not in mine.api.groups())
        with pytest.raises(exceptions.ResourceNotFoundError) as caught:
            mine.get(name)
        assert refused(caught.value) == (404, "ResourceNotFound")

    def test_what_is_not_there_is_deleted_without_a_word(self, mine: ResourceGroup) -> None:
        mine.delete("never-was")

    def test_what_is_still_created_can_be_deleted_and_never_starts(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")
            mine.delete(name)

        assert name not in mine.api.groups()
        assert mine.started(name) == 0

    def test_one_may_be_seen_for_a_while_after_its_deletion(self, mine: ResourceGroup) -> None:
        mine.api.behave(deletion_looks=2)
        name = mine.start("true")
        mine.ended(name)
        mine.groups.begin_delete(mine.name, name, polling=False)

        seen = [mine.get(name).provisioning_state for _ in range(2)]

        assert seen == ["Deleting", "Deleting"]
        with pytest.raises(exceptions.ResourceNotFoundError):
            mine.get(name)

    def test_its_log_goes_with_it(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        mine.ended(name)
        mine.delete(name)

        with pytest.raises(exceptions.ResourceNotFoundError):
            mine.log(name)


class TestLogs:
    def test_after_the_end_a_thousand_lines_are_kept(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "seq 1 1500")
        mine.ended(name)

        assert mine.log(name).splitlines()[0] == "501"
        assert mine.log(name, tail=2) == "1499\n1500\n"

    def test_after_the_end_16_kib_are_kept(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "seq -f %0200g 1 200")
        mine.ended(name)

        assert len(mine.log(name)) == 16 * 1024

    def test_before_it_runs_there_is_none(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")

            with pytest.raises(exceptions.HttpResponseError) as caught:
                mine.log(name)

        assert refused(caught.value) == (409, "ContainerGroupTransitioning")


class TestWhatHappensToContainers:
    def test_one_whose_memory_runs_out_is_killed(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")

        mine.api.kill(name)

        found = current(mine.until(name, "Failed"))
        assert (found.exit_code, found.detail_status) == (137, "OOMKilled")

    def test_one_that_is_evicted_is_started_again_elsewhere(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60", priority="Spot")
        mine.until(name, "Running")

        mine.api.evict(name)

        again = eventually(lambda: view if (view := mine.get(name).containers[0].instance_view).restart_count else None)
        assert (again.previous_state.exit_code, again.current_state.state) == (137, "Running")
        assert mine.started(name) == 2

    def test_one_may_be_started_again_under_never(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("restarted")

        found = mine.ended(mine.start("sh", "-c", "exit 3"))

        view = found.containers[0].instance_view
        assert (view.restart_count, view.previous_state.exit_code, view.current_state.exit_code) == (1, 3, 3)
        assert mine.started(found.name) == 2

    def test_on_failure_goes_on_until_it_exits_well(self, mine: ResourceGroup) -> None:
        folder = mine.api.subscription.folder / "tries"
        script = f'mkdir "{folder}" 2>/dev/null && exit 1; exit 0'

        found = mine.ended(mine.start("sh", "-c", script, restartPolicy="OnFailure"))

        assert (found.instance_view.state, found.containers[0].instance_view.restart_count) == ("Succeeded", 1)


def _listed(mine: ResourceGroup) -> list[Json]:
    return [each.serialize(keep_readonly=True) for each in mine.groups.list()]
