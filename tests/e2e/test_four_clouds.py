"""A pool on each of four clouds in one file, all of them on this machine: examples/four-clouds.yaml, used as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from dispatcher.testing.servers.aws_account import AwsAccount
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.google.project import GoogleProject, google_project
from dispatcher.testing.servers.modal import ModalApi, modal
from dispatcher.testing.servers.processes import free_port, listens
from dispatcher.testing.visitor import Json, Visitor

EXAMPLE = Path(__file__).parents[2] / "examples/four-clouds.yaml"
IMAGE = "ghcr.io/acme/report:1"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
PUSHPOOL = str(Path(sys.executable).with_name("pushpool"))

AT_FIRST = "[ $PUSHPOOL_ATTEMPT = 1 ] && sleep 120"
DEPLOYMENTS: dict[str, Json] = {
    "slow-on-aci": {"pool": "aci", "command": ["sleep", "120"]},
    "slow-on-modal": {"pool": "modal", "command": ["sleep", "120"]},
    "slow-at-first-on-aci": {"pool": "aci", "command": ["sh", "-c", f"{AT_FIRST}; exit 0"]},
    "fails-on-aci": {"pool": "aci", "command": ["sh", "-c", "echo no such table; exit 3"]},
    "fails-on-modal": {"pool": "modal", "command": ["sh", "-c", "echo no such table; exit 3"]},
}


class Installation(Visitor):
    """`pushpool serve` on this machine, and four clouds.

    What takes a while to be noticed has happened at first: `orphans` are runs of which the dispatcher was killed
    between submit and record, `deleted` one whose container group somebody has deleted.
    """

    patience_seconds = 100.0
    orphans: Sequence[str]
    deleted: str

    def __init__(
        self, aws: AwsAccount, google: GoogleProject, azure_api: AzureApi, modal_api: ModalApi, folder: Path
    ) -> None:
        self.aws, self.google, self.azure, self.modal = aws, google, azure_api, modal_api
        port = str(free_port())
        home = {"PUSHPOOL_HOME": str(folder / "home"), "PUSHPOOL_PORT": port, "PUSHPOOL_HEARTBEAT_SECONDS": "2"}
        clouds = {**aws.environment, **google.environment, **azure_api.environment(), **modal_api.environment()}
        self._told = {"PATH": os.environ["PATH"], "HOME": str(folder), "PUSHPOOL_LOG_LEVEL": "DEBUG", **clouds, **home}
        self._log = folder / "serve.log"
        self._server: subprocess.Popen[bytes] | None = None
        self.serve(int(port))
        key = (folder / "home" / "api-key").read_text().strip()
        shell = {**self._told, "PUSHPOOL_API_URL": f"http://127.0.0.1:{port}", "PUSHPOOL_API_KEY": key}
        super().__init__(folder, shell, self.said)

    def serve(self, port: int) -> None:
        with self._log.open("ab") as log:
            self._server = subprocess.Popen([PUSHPOOL, "serve"], env=self._told, stdout=log, stderr=log)
        until = time.monotonic() + 30
        while not listens(port):
            assert time.monotonic() < until, self.said()
            time.sleep(0.02)

    def kill(self) -> None:
        """As when its machine is lost; it comes up again."""
        assert self._server is not None
        self._server.send_signal(signal.SIGKILL)
        self._server.wait(10)
        self.serve(int(self._told["PUSHPOOL_PORT"]))

    def close(self) -> None:
        assert self._server is not None
        self._server.terminate()
        self._server.wait(30)

    def said(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text().splitlines()[-60:])

    def started(self, run_id: str) -> int:
        """How many containers Azure and Modal really started for the run."""
        return len(self.azure.started(run_id)) + len(self.modal.started(run_id))


@pytest.fixture(scope="module")
def installation(aws_account: AwsAccount, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Four empty clouds; and the example applied, with a few deployments more."""
    folder = tmp_path_factory.mktemp("four-clouds")
    aws_account.client("ecs").create_cluster(clusterName="pushpool")
    aws_account.know_image_as(IMAGE)
    with ExitStack() as opened:
        google = opened.enter_context(google_project(folder, images={IMAGE: []}))
        azure_api = opened.enter_context(azure(folder, id=SUBSCRIPTION, images={IMAGE: []}))
        modal_api = opened.enter_context(modal(folder, images=frozenset({IMAGE})))
        made = Installation(aws_account, google, azure_api, modal_api, folder)
        opened.callback(made.close)
        made.pushpool("apply", "-f", str(EXAMPLE), "--yes")
        for name, form in DEPLOYMENTS.items():
            made.http("PUT", f"/v1/deployments/{name}", {"image": IMAGE, **form}).raise_for_status()
        made.orphans, made.deleted = _orphaned(made), _deleted(made)
        yield made


def _orphaned(installation: Installation) -> Sequence[str]:
    with installation.azure.replies_held() as put, installation.modal.replies_held() as created:
        runs = [installation.start(f"slow-on-{cloud}") for cloud in ("aci", "modal")]
        assert put.wait(30)
        assert created.wait(30)
        installation.kill()
    return runs


def _deleted(installation: Installation) -> str:
    run_id = installation.start("slow-at-first-on-aci")
    installation.running(run_id)
    installation.azure.delete(installation.azure.started(run_id)[0])
    return run_id


def test_a_run_on_each_cloud_completes(installation: Installation) -> None:
    clouds = ("ecs", "cloud-run", "aci", "modal")
    started = {cloud: installation.start(f"report-on-{cloud}", parameters={"day": cloud}) for cloud in clouds}

    runs = {cloud: installation.ended(run_id) for cloud, run_id in started.items()}

    assert {cloud: run["state_name"] for cloud, run in runs.items()} == dict.fromkeys(clouds, "Completed")
    assert [f'report of {{"day":"{cloud}"}}' in run["attempts"][0]["log_tail"] for cloud, run in runs.items()] == (
        [True] * 4
    )
    assert {run["attempts"][0]["target"]["type"] for run in runs.values()} == {
        "ecs:push", "cloud-run-v2:push", "azure-container-instance:push", "modal:push",
    }  # fmt: skip


def test_the_same_file_again_changes_nothing(installation: Installation) -> None:
    assert "8 unchanged" in installation.pushpool("apply", "-f", str(EXAMPLE), "--yes")


@pytest.mark.parametrize("pool", ["ecs", "cloud-run", "aci", "modal"])
def test_doctor_finds_nothing_amiss(installation: Installation, pool: str) -> None:
    assert "✗" not in installation.pushpool("doctor", pool)


@pytest.mark.parametrize("cloud", ["aci", "modal"])
def test_a_command_that_fails_is_told_with_its_last_lines(installation: Installation, cloud: str) -> None:
    run = installation.ended(installation.start(f"fails-on-{cloud}"))

    assert (run["state_name"], run["attempts"][0]["exit_code"]) == ("Failed", 3)
    assert "no such table" in run["attempts"][0]["log_tail"]


@pytest.mark.parametrize("cloud", ["aci", "modal"])
def test_a_running_run_is_cancelled_and_its_container_stopped(installation: Installation, cloud: str) -> None:
    run_id = installation.start(f"slow-on-{cloud}")
    installation.running(run_id)

    installation.http("POST", f"/v1/runs/{run_id}/cancel", {}).raise_for_status()

    assert installation.ended(run_id)["state_name"] == "Cancelled"
    assert installation.started(run_id) == 1


def test_without_capacity_the_next_region_is_tried_once_the_first_group_is_gone(installation: Installation) -> None:
    installation.azure.behave(without_capacity=frozenset({"westeurope"}))
    try:
        run = installation.ended(installation.start("report-on-aci"))
    finally:
        installation.azure.forget_faults()

    assert (run["state_name"], run["attempts"][-1]["target"]["region"]) == ("Completed", "northeurope")
    assert len(installation.azure.started(run["id"])) == 1


def test_a_quota_that_is_used_up_for_an_hour_is_told_with_its_end_and_nothing_is_lost(
    installation: Installation,
) -> None:
    installation.azure.fail_next("quota for the hour")
    run_id = installation.start("report-on-aci")

    def waits(run: Json) -> bool:
        return "unavailable until" in (run["waits_for"] or "")

    installation.until(run_id, waits)
    shown = installation.pushpool("work-pool", "inspect", "aci")
    assert "unavailable" in shown
    assert "until" in shown
    installation.pushpool("work-pool", "resume", "aci")

    assert installation.ended(run_id)["state_name"] == "Completed"


def test_a_dispatcher_that_is_killed_between_submit_and_record_starts_one_container(installation: Installation) -> None:
    for run_id in installation.orphans:
        installation.named(run_id)
        installation.http("POST", f"/v1/runs/{run_id}/cancel", {}).raise_for_status()

    assert [installation.ended(run_id)["state_name"] for run_id in installation.orphans] == ["Cancelled", "Cancelled"]
    assert [installation.started(run_id) for run_id in installation.orphans] == [1, 1]


def test_a_group_that_is_deleted_by_hand_costs_no_retry(installation: Installation) -> None:
    run = installation.ended(installation.deleted)

    assert (run["state_name"], [each["number"] for each in run["attempts"]]) == ("Completed", [1, 2])
    assert "no longer knows it" in run["attempts"][0]["outcome"]
