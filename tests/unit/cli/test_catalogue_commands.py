"""`work-pool`, `work-queue`, `deployment` and its schedules, against the API in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Shell


def test_a_work_pool_is_created_changed_and_deleted(shell: Shell) -> None:
    """What is not named stays as it is."""
    shell.ok("work-pool", "create", "p", "--type", "process", "--description", "mine", "--paused")
    shell.ok("work-pool", "set-concurrency-limit", "p", "3")
    pool = shell.json("work-pool", "inspect", "p")
    assert (pool["description"], pool["paused"], pool["concurrency_limit"]) == ("mine", True, 3)

    shell.ok("work-pool", "update", "p", "--description", "ours", "--prefetch-seconds", "5")
    shell.ok("work-pool", "resume", "p")
    shell.ok("work-pool", "clear-concurrency-limit", "p")
    pool = shell.json("work-pool", "inspect", "p")
    assert (pool["description"], pool["paused"], pool["concurrency_limit"]) == ("ours", False, None)
    assert pool["prefetch_seconds"] == 5

    shell.ok("work-pool", "pause", "p")
    assert shell.json("work-pool", "ls")[0]["status"] == "PAUSED"
    shell.ok("work-pool", "delete", "p", "--yes")
    assert shell.json("work-pool", "ls") == []


def test_a_work_pool_that_exists_is_only_changed_when_told_so(shell: Shell) -> None:
    """--overwrite keeps what is not given."""
    shell.ok("work-pool", "create", "p", "-t", "process", "--concurrency-limit", "2")

    assert shell.error("work-pool", "create", "p", "-t", "process").startswith("error: work pool 'p' exists")
    shell.ok("work-pool", "create", "p", "-t", "process", "--description", "new", "--overwrite")

    pool = shell.json("work-pool", "inspect", "p")
    assert (pool["description"], pool["concurrency_limit"]) == ("new", 2)


def test_a_template_is_taken_from_a_file_and_the_default_one_written_to_one(shell: Shell) -> None:
    """What `get-default-base-job-template` writes, `--base-job-template` takes."""
    shell.ok("work-pool", "get-default-base-job-template", "-t", "process", "-f", "template.json")
    printed = json.loads(shell.ok("work-pool", "get-default-base-job-template", "-t", "process"))
    assert json.loads(Path("template.json").read_text()) == printed
    assert json.loads(shell.ok("template", "show", "process")) == printed

    shell.ok("work-pool", "create", "p", "-t", "process", "--base-job-template", "template.json")
    shell.ok("work-pool", "update", "p", "--base-job-template", "template.json")
    assert shell.json("work-pool", "inspect", "p")["base_job_template"] == printed
    Path("bad.json").write_text("{")
    assert "bad.json:1:2: is not JSON" in shell.error("work-pool", "update", "p", "--base-job-template", "bad.json")


def test_an_unknown_type_pool_or_empty_update_is_refused(shell: Shell) -> None:
    """Each names the thing and the way out."""
    assert "pool type 'ecss' is unknown; there are: " in shell.error("work-pool", "create", "p", "-t", "ecss")
    assert "work pool 'p' does not exist; `pushpool work-pool ls`" in shell.error("work-pool", "inspect", "p")
    assert "nothing to change" in shell.error("work-pool", "update", "p", code=2)
    assert "Missing option" in shell.error("work-pool", "create", "p", code=2)


def test_a_work_pool_in_use_is_deleted_only_by_force(shell: Shell) -> None:
    """A deployment names it."""
    shell.applied()

    assert "is in use: deployments name it: adhoc, nightly" in shell.error("work-pool", "delete", "local")
    assert "work pool 'local'" in shell.ok("work-pool", "delete", "local", "--force")
    assert shell.json("work-pool", "ls") == []


def test_a_work_queue_is_created_changed_and_deleted(shell: Shell) -> None:
    """Without --pool the only one is meant."""
    shell.ok("work-pool", "create", "p", "-t", "process")
    shell.ok("work-queue", "create", "q", "-p", "p", "-l", "2", "-q", "7")
    shell.ok("work-queue", "update", "q", "--description", "mine")
    shell.ok("work-queue", "set-concurrency-limit", "q", "5", "-p", "p")
    queue = shell.json("work-queue", "inspect", "q")
    assert (queue["priority"], queue["concurrency_limit"], queue["description"]) == (7, 5, "mine")

    shell.ok("work-queue", "clear-concurrency-limit", "q")
    shell.ok("work-queue", "pause", "q")
    assert [each["name"] for each in shell.json("work-queue", "ls", "--match", "q")] == ["q"]
    assert shell.json("work-queue", "inspect", "q")["status"] == "PAUSED"
    shell.ok("work-queue", "resume", "q")
    shell.ok("work-queue", "delete", "q", "-y")
    assert [each["name"] for each in shell.json("work-queue", "ls")] == ["default"]


def test_which_work_pool_must_be_said_when_there_are_several(shell: Shell) -> None:
    """The error names them."""
    assert shell.error("work-queue", "inspect", "q") == "error: no work pools"
    for name in ("a", "b"):
        shell.ok("work-pool", "create", name, "-t", "process")

    assert shell.error("work-queue", "inspect", "q") == "error: say which work pool with --pool; there are: a, b"
    assert "work queue 'q' does not exist" in shell.error("work-queue", "inspect", "q", "-p", "a")
    shell.ok("work-queue", "create", "q", "-p", "a")
    assert "exists" in shell.error("work-queue", "create", "q", "-p", "a")


def test_what_will_fall_due_runs_and_slots_of_a_queue_are_shown(shell: Shell) -> None:
    """Of that queue alone."""
    shell.applied()
    shell.ok("deployment", "run", "nightly", "--start-in", "30 minutes")
    shell.ok("deployment", "run", "adhoc", "--start-in", "30 minutes")

    assert [each["deployment"] for each in shell.json("work-queue", "preview", "high")] == ["nightly"]
    assert len(shell.json("work-pool", "preview", "local")) == 2
    assert len(shell.json("work-pool", "preview")) == 2
    assert [each["deployment"] for each in shell.json("work-queue", "read-runs", "high")] == ["nightly"]
    assert shell.json("work-queue", "slots", "high")["limit"] == 2
    assert shell.json("work-pool", "slots", "local")["limit"] == 4


def test_deployments_are_listed_shown_paused_and_deleted(shell: Shell) -> None:
    """`ls` takes names and a pool."""
    shell.applied()

    assert [each["name"] for each in shell.json("deployment", "ls")] == ["adhoc", "nightly"]
    assert [each["name"] for each in shell.json("deployment", "ls", "adhoc", "--by-created")] == ["adhoc"]
    assert shell.json("deployment", "ls", "--pool", "nowhere") == []
    shell.ok("deployment", "pause", "nightly")
    assert shell.json("deployment", "inspect", "nightly")["paused"]
    shell.ok("deployment", "resume", "nightly")
    assert not shell.json("deployment", "inspect", "nightly")["paused"]
    assert "give one NAME, or --all" in shell.error("deployment", "delete", code=2)
    shell.ok("deployment", "delete", "nightly")
    shell.ok("deployment", "delete", "--all")
    assert shell.json("deployment", "ls") == []


def test_schedules_are_added_paused_replaced_and_deleted(shell: Shell) -> None:
    """One by one, or all of a deployment's."""
    shell.applied()
    shell.ok("deployment", "schedule", "create", "nightly", "--interval", "2h", "--slug", "often", "--timezone", "UTC")
    shell.ok("deployment", "schedule", "create", "nightly", "--rrule", "FREQ=DAILY", "--no-active")
    found = shell.json("deployment", "schedule", "ls", "nightly")
    assert [each["interval"] for each in found if each["slug"] == "often"] == [7200]
    assert [each["active"] for each in found] == [True, True, False]

    shell.ok("deployment", "schedule", "pause", "nightly", "often")
    shell.ok("deployment", "schedule", "resume", "nightly", "--all")
    assert all(each["active"] for each in shell.json("deployment", "schedule", "ls", "nightly"))
    shell.ok("deployment", "schedule", "delete", "nightly", "often", "-y")
    shell.ok("deployment", "schedule", "create", "nightly", "--cron", "@daily", "--replace", "-y")
    assert [each["cron"] for each in shell.json("deployment", "schedule", "ls", "nightly")] == ["@daily"]
    shell.ok("deployment", "schedule", "clear", "nightly", "-y")
    assert shell.json("deployment", "schedule", "ls", "nightly") == []


def test_a_schedule_that_cannot_be_is_refused(shell: Shell) -> None:
    """And nothing is paused where there is nothing."""
    shell.applied()

    assert "never fires" in shell.error("deployment", "schedule", "create", "nightly", "--cron", "0 0 30 2 *")
    assert "it has none of them" in shell.error("deployment", "schedule", "create", "nightly")
    assert "has no schedule 'x'" in shell.error("deployment", "schedule", "delete", "nightly", "x")
    assert "has no schedules" in shell.error("deployment", "schedule", "pause", "adhoc", "--all")
    assert "give one SCHEDULE_ID, or --all" in shell.error("deployment", "schedule", "pause", "nightly", code=2)
