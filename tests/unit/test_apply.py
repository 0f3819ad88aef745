"""The plan of `pushpool apply`: what the file says against what the API shows, both of them real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dispatcher import files, records, registry
from dispatcher.apply import Action, Current, Kind, Step, plan
from dispatcher.deployments import Deployment
from dispatcher.files import PushpoolFile
from dispatcher.located import FileProblems
from dispatcher.testing.api_bench import ApiBench

SECRET_TEMPLATE = """
        base_job_template:
          job_configuration: {command: "{{ command }}", env: {TOKEN: "{{ token }}"}}
          variables:
            properties:
              command: {type: string}
              token: {type: string, x-secret: true}
"""


@dataclass
class Installation:
    """An API, and a folder with a file that is to be applied to it."""

    folder: Path
    bench: ApiBench = field(default_factory=ApiBench)

    def read(self, text: str) -> PushpoolFile:
        path = self.folder / "pushpool.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return files.read(path, known_pools=lambda: list(self.current().pools))

    def current(self) -> Current:
        pools = {each["name"]: each for each in self._items("work-pools")}
        queues = {(pool, each["name"]): each for pool in pools for each in self._items(f"work-pools/{pool}/queues")}
        deployments = {each["name"]: each for each in self._items("deployments")}
        return Current(pools, queues, deployments, {"process": registry.template("process")})

    def plan(self, text: str, *, prune: bool = False) -> list[Step]:
        return plan(self.read(text), self.current(), prune=prune)

    def apply(self, text: str, *, prune: bool = False) -> list[Step]:
        """Plan, and take every step."""
        steps = self.plan(text, prune=prune)
        for step in (step for step in steps if step.is_sent):
            self._take(step)
        return steps

    def _take(self, step: Step) -> None:
        place = {
            Kind.POOL: f"work-pools/{step.name}",
            Kind.QUEUE: f"work-pools/{step.pool}/queues/{step.name}",
            Kind.DEPLOYMENT: f"deployments/{step.name}",
        }[step.kind]
        if step.action is Action.DELETE:
            answer = self.bench.call("DELETE", f"/v1/{place}")
        else:
            answer = self.bench.call("PUT", f"/v1/{place}", dict(step.body))
        assert answer.status < 300, answer.json

    def _items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.bench.call("GET", f"/v1/{path}").json["items"]
        return found


@pytest.fixture
def there(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def told(steps: list[Step], *actions: Action) -> list[str]:
    """`create work pool 'local'`, of these actions alone if any are given."""
    return [f"{step.action} {step}" for step in steps if not actions or step.action in actions]


def differences(step: Step) -> Mapping[str, tuple[Any, Any]]:
    return {each.path: (each.old, each.new) for each in step.differences}


FILE = """
    work_pools:
      local:
        type: process
        concurrency_limit: 4
        queues:
          low: {priority: 9}
          high: {priority: 1, concurrency_limit: 2}
    deployments:
      nightly:
        pool: local
        queue: high
        command: [sh, -c, "true"]
        tags: [a, b, a]
        parameters: {day: 1, deep: {x: 1, y: 2}}
        schedules:
          - {slug: night, cron: "0 3 * * *", timezone: Europe/Paris}
          - {interval: 3600, parameters: {day: 2}}
          - {rrule: "FREQ=DAILY", catchup: none}
        webhooks:
          - {url: "https://example.org/hook", on: [failed, late], secret: sesame-open}
      adhoc: {pool: local, command: "true", timeout_seconds: 60}
    """


def test_on_an_empty_server_everything_is_created_pools_before_queues_before_deployments(there: Installation) -> None:
    """So that each finds what it names."""
    steps = there.apply(FILE)

    assert told(steps) == [
        "create work pool 'local'",
        "create work queue 'high' of 'local'",
        "create work queue 'low' of 'local'",
        "create deployment 'nightly'",
        "create deployment 'adhoc'",
    ]


def test_applying_twice_changes_nothing(there: Installation) -> None:
    """Whatever the file holds: defaults, anchors, tags said twice, secrets."""
    there.apply(FILE)
    before = there.current()

    steps = there.apply(FILE)

    assert {step.action for step in steps} == {Action.UNCHANGED}
    assert there.current() == before


def test_planning_does_nothing(there: Installation) -> None:
    """`--dry-run` is a plan and no more."""
    there.plan(FILE)

    assert not there.current().pools


def test_a_change_names_the_fields_that_differ_and_both_values(there: Installation) -> None:
    """Inner fields with their path."""
    there.apply(FILE)

    steps = there.plan(
        FILE.replace("concurrency_limit: 4", "concurrency_limit: 5")
        .replace("{x: 1, y: 2}", "{x: 1, y: 3}")
        .replace("timeout_seconds: 60", "description: now and then")
    )

    changed = {str(step): differences(step) for step in steps if step.action is Action.CHANGE}
    assert changed == {
        "work pool 'local'": {"concurrency_limit": (4, 5)},
        "deployment 'nightly'": {"parameters.deep.y": (2, 3)},
        "deployment 'adhoc'": {"description": ("", "now and then"), "timeout_seconds": (60, None)},
    }


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('"0 3 * * *"', '"0 4 * * *"', "schedules.night.cron"),
        ("timezone: Europe/Paris", "timezone: Europe/Rome", "schedules.night.timezone"),
        ("slug: night,", "slug: night, active: false,", "schedules.night.active"),
        ("catchup: none", "catchup: all", "schedules.2.catchup"),
        ("on: [failed, late]", "on: [failed]", "webhooks"),
    ],
)
def test_a_change_of_a_schedule_or_webhook_is_seen(there: Installation, old: str, new: str, path: str) -> None:
    """A schedule by its slug or its number."""
    there.apply(FILE)
    assert old in FILE

    (step,) = [step for step in there.apply(FILE.replace(old, new)) if step.action is Action.CHANGE]

    assert list(differences(step)) == [path]
    assert {step.action for step in there.plan(FILE.replace(old, new))} == {Action.UNCHANGED}


def test_a_schedule_that_is_not_in_the_file_goes_and_one_that_is_new_comes(there: Installation) -> None:
    """A schedule without a slug is known by its content."""
    there.apply(FILE)

    changed = FILE.replace("- {interval: 3600, parameters: {day: 2}}", "- {interval: 60}")
    (step,) = [step for step in there.apply(changed) if step.action is Action.CHANGE]

    found = differences(step)
    assert [old["interval"] for old, new in found.values() if new is None] == [3600]
    assert [new["interval"] for old, new in found.values() if old is None] == [60]
    assert {step.action for step in there.plan(changed)} == {Action.UNCHANGED}


def test_what_was_paused_by_hand_stays_paused(there: Installation) -> None:
    """Left out, `paused` and `active` have no say."""
    there.apply(FILE)
    for path in ("work-pools/local", "work-pools/local/queues/low", "deployments/adhoc"):
        there.bench.call("POST", f"/v1/{path}/pause")
    there.bench.call("POST", "/v1/deployments/nightly/schedules/night/pause")

    assert {step.action for step in there.apply(FILE)} == {Action.UNCHANGED}
    assert there.current().pools["local"]["paused"]


def test_a_changed_webhook_secret_is_seen_by_its_fingerprint_and_never_shown(there: Installation) -> None:
    """Neither the old one nor the new one."""
    there.apply(FILE)

    steps = there.plan(FILE.replace("sesame-open", "abracadabra"))

    (step,) = [step for step in steps if step.action is Action.CHANGE]
    assert "sha256:" in str(step.differences)
    assert "abracadabra" not in str(steps)
    assert "sesame" not in str(steps)


def test_a_secret_job_variable_is_never_shown_and_sent_again(there: Installation) -> None:
    """The server alone can tell whether it changed."""
    text = f"""
    work_pools:
      local:
        type: process
        {SECRET_TEMPLATE.strip()}
    deployments:
      d: {{pool: local, command: "true", job_variables: {{token: hunter2}}}}
    """
    first = there.apply(text)
    second = there.apply(text.replace("hunter2", "hunter3"))

    assert "hunter" not in str([*first, *second])
    (step,) = [step for step in second if step.kind is Kind.DEPLOYMENT]
    assert (step.action, step.again) == (Action.UNCHANGED, True)
    stored = records.read(there.bench.store, Deployment, "d")
    assert stored is not None
    assert stored.job_variables == {"token": "hunter3"}


def test_what_becomes_a_secret_is_hidden_on_both_sides(there: Installation) -> None:
    """Also the value that was in the open until now."""
    text = f"""
    work_pools:
      local:
        type: process
        variables: {{token: in-the-open}}
        {SECRET_TEMPLATE.strip()}
    """
    there.apply(text.replace(", x-secret: true", ""))

    (step,) = there.plan(text)

    assert differences(step)["variables.token"] == ("********", "********")
    assert "in-the-open" not in str(step)


def test_queues_keep_the_priorities_of_the_file_whatever_was_there(there: Installation) -> None:
    """A queue that takes a priority pushes others down; those that the file names are put right in the same apply."""
    there.apply("""
        work_pools:
          local:
            type: process
            queues: {b: {priority: 2}, c: {priority: 3}, d: {priority: 4}}
        """)
    text = """
        work_pools:
          local:
            type: process
            queues: {d: {priority: 3}, a: {priority: 1}, b: {priority: 2}, c: {priority: 7}}
        """

    there.apply(text)

    priorities = {name: queue["priority"] for (_, name), queue in there.current().queues.items()}
    assert {name: priorities[name] for name in "abcd"} == {"a": 1, "b": 2, "c": 7, "d": 3}
    assert {step.action for step in there.plan(text)} == {Action.UNCHANGED}


def test_the_template_of_the_type_is_compared_where_the_file_has_none(there: Installation) -> None:
    """A pool that was given another one gets the shipped one back."""
    there.apply(FILE)
    assert Action.CHANGE not in {step.action for step in there.plan(FILE)}
    template = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {}}}}
    there.bench.call("PUT", "/v1/work-pools/local", {"type": "process", "base_job_template": template})

    (step,) = there.plan("work_pools: {local: {type: process}}")

    assert step.action is Action.CHANGE
    assert all(path.startswith("base_job_template.") for path in differences(step))


def test_a_pool_of_another_type_is_refused_with_its_place(there: Installation) -> None:
    """A type never changes, so nothing is sent at all."""
    file = there.read(FILE)
    current = Current(pools={"local": {"type": "ecs:push"}})

    with pytest.raises(FileProblems, match=r"pushpool\.yaml:4:5: work pool 'local': it is of type 'ecs:push' on the"):
        plan(file, current)


SMALL = """
    work_pools:
      local: {type: process, queues: {high: {priority: 1}}}
    deployments:
      nightly: {pool: local, queue: low, command: "true"}
    """


def test_without_prune_nothing_is_deleted(there: Installation) -> None:
    """What is not in the file is somebody else's."""
    there.apply(FILE)

    assert Action.DELETE not in {step.action for step in there.plan(SMALL)}


def test_pruning_deletes_deployments_before_queues_before_pools(there: Installation) -> None:
    """But for default queues, and those that the file's deployments name."""
    there.apply(FILE)
    there.apply("work_pools: {other: {type: process, queues: {q: }}}")
    there.bench.call("PUT", "/v1/work-pools/local/queues/extra", {})

    steps = there.apply(SMALL, prune=True)

    assert told(steps, Action.DELETE) == [
        "delete deployment 'adhoc'",
        "delete work queue 'extra' of 'local'",
        "delete work pool 'other'",
    ]
    assert told(there.plan(SMALL, prune=True), Action.DELETE, Action.CHANGE, Action.CREATE) == []


def test_a_pool_that_the_files_deployments_name_is_not_pruned(there: Installation) -> None:
    """The way out is told at the line that names it."""
    there.apply(FILE)

    with pytest.raises(FileProblems, match=r":4:7: deployment 'd': work pool 'local' is not in the file, so --prune"):
        there.plan(
            """\
            work_pools:
              other: {type: process}
            deployments:
              d: {pool: local, command: "true"}
            """,
            prune=True,
        )
