"""The example on Google Cloud, applied to a stand-in that makes nothing: what it would make is in Terraform's state."""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.firestore import layout
from dispatcher import files
from dispatcher.testing.terraform import GOOGLE_EXAMPLE, MODULES, Terraform, TerraformFailed
from dispatcher.tokens import KeyRing

ADAPTERS = Path(layout.__file__).parents[2]
VERSION = "google_secret_manager_secret_version"

# What a call of a client library asks of whoever calls (each API's reference, "IAM permissions").
_OF_FIRESTORE = {
    "get_all": {"datastore.entities.get"},
    "stream": {"datastore.entities.get", "datastore.entities.list"},
    "commit": {"datastore.entities.create", "datastore.entities.delete", "datastore.entities.update"},
}
_OF_TASKS = {"create_task": {"cloudtasks.tasks.create"}}
_OF_SECRETS = {"access_secret_version": {"secretmanager.versions.access"}}
_OF_CLOUD_RUN = {
    "create_job": {"run.jobs.create", "run.jobs.run"},
    "run_job": {"run.jobs.run"},
    "get_job": {"run.jobs.get"},
    "list_jobs": {"run.jobs.list"},
    "update_job": {"run.jobs.update"},
    "delete_job": {"run.jobs.delete"},
    "get_execution": {"run.executions.get"},
    "list_executions": {"run.executions.list"},
    "cancel_execution": {"run.executions.cancel"},
    "delete_execution": {"run.executions.delete"},
    "get_task": {"run.tasks.get"},
    "list_tasks": {"run.tasks.list"},
    "get_operation": {"run.operations.get"},
}

_WRONG = """
resource "google_cloud_tasks_queue" "wake" {
  name = "wake"

  rate_limits {
    max_dispatches_per_second = "many"
  }

  retry_config {
    max_tries = 3
  }
}
"""

Made = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    package = tmp_path_factory.mktemp("package") / "pushpool-gcp-python3.11.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("main.py", "")
    return {"TF_VAR_project": "my-project", "TF_VAR_region": "europe-west1", "TF_VAR_package": str(package)}


@pytest.fixture(scope="module")
def applied(google_stand_in: Terraform, settings: dict[str, str]) -> Iterator[Terraform]:
    google_stand_in(GOOGLE_EXAMPLE, "apply", "-input=false", "-auto-approve", environment=settings)
    yield google_stand_in
    google_stand_in(GOOGLE_EXAMPLE, "destroy", "-input=false", "-auto-approve", "-refresh=false", environment=settings)
    assert json.loads(google_stand_in(GOOGLE_EXAMPLE, "state", "pull"))["resources"] == []


@pytest.fixture(scope="module")
def made(applied: Terraform) -> Made:
    """Everything in the state by its address without its module, an instance's key behind a dot."""
    state = json.loads(applied(GOOGLE_EXAMPLE, "state", "pull"))
    return {
        f"{each['type']}.{each['name']}.{part.get('index_key', '')}": part["attributes"]
        for each in state["resources"]
        for part in each["instances"]
    }


def test_a_second_plan_changes_nothing(applied: Terraform, settings: dict[str, str]) -> None:
    """It exits with 2 otherwise, which raises and shows the plan."""
    applied(GOOGLE_EXAMPLE, "plan", "-input=false", "-no-color", "-detailed-exitcode", environment=settings)


def test_the_indexes_are_those_that_the_store_declares(made: Made) -> None:
    declared = {(index.collection, tuple((name, str(mode)) for name, mode in index.fields)) for index in layout.INDEXES}
    indexes = _of(made, "google_firestore_index")

    found = {
        (each["collection"], tuple((one["field_path"], one["order"] or one["array_config"]) for one in each["fields"]))
        for each in indexes
    }

    assert found == declared
    assert {each["query_scope"] for each in indexes} == {"COLLECTION"}


def test_the_fields_without_an_index_are_those_that_the_store_declares(made: Made) -> None:
    declared = {(group, name): modes for group, fields in layout.EXEMPTIONS.items() for name, modes in fields.items()}

    found = {
        (each["collection"], each["field"]): tuple(
            index["order"] for config in each["index_config"] for index in config["indexes"]
        )
        for each in _of(made, "google_firestore_field")
    }

    assert found == declared


def test_nothing_ticks_before_its_queries_have_their_indexes(applied: Terraform) -> None:
    state = json.loads(applied(GOOGLE_EXAMPLE, "state", "pull"))
    (tick,) = (each for each in state["resources"] if each["type"] == "google_cloud_scheduler_job")

    before = set(tick["instances"][0]["dependencies"])

    assert {f"module.dispatcher.google_firestore_{kind}.this" for kind in ("database", "index", "field")} <= before


def test_data_is_protected_unless_the_example_is_for_trying_out(made: Made) -> None:
    (database,) = _of(made, "google_firestore_database")

    assert database["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"
    assert database["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"


def test_roles_allow_what_the_adapters_call_and_nothing_else(made: Made) -> None:
    allowed = {each["role_id"]: set(each["permissions"]) for each in _of(made, "google_project_iam_custom_role")}

    assert allowed == {
        "pushpool_store": _needed(_OF_FIRESTORE, "stores/firestore"),
        "pushpool_wake": _needed(_OF_TASKS, "wakers"),
        "pushpool_secrets": _needed(_OF_SECRETS, "secrets"),
        "pushpool_act_as": {"iam.serviceAccounts.actAs"},
        "pushpool_run_jobs": _needed(_OF_CLOUD_RUN, "infrastructure/cloud_run"),
        "pushpool_run_act_as": {"iam.serviceAccounts.actAs"},
    }


def test_nobody_gets_a_predefined_role_of_a_whole_service(made: Made) -> None:
    members = [each for address, each in made.items() if "_iam_member." in address]
    predefined = {each["role"] for each in members if each["role"].startswith("roles/")}

    assert len(members) > 20
    assert predefined == {
        "roles/run.invoker",
        "roles/pubsub.publisher",
        "roles/pubsub.subscriber",
        "roles/iam.serviceAccountOpenIdTokenCreator",
        "roles/logging.logWriter",
        "roles/artifactregistry.writer",
        "roles/storage.objectViewer",
    }
    assert {each["member"] for each in members if each["member"].startswith("all")} == {"allUsers"}


def test_the_api_and_events_have_no_rights_on_jobs(made: Made) -> None:
    holders = {
        each["member"] for address, each in made.items() if "_iam_member" in address and "run_jobs" in each["role"]
    }

    assert holders == {"serviceAccount:pushpool-dispatch@my-project.iam.gserviceaccount.com"}


def test_dispatch_acts_as_the_pools_account_and_as_the_caller_alone(made: Made) -> None:
    dispatch = "serviceAccount:pushpool-dispatch@my-project.iam.gserviceaccount.com"
    accounts = {
        each["service_account_id"].rpartition("/")[2].partition("@")[0]
        for each in _of(made, "google_service_account_iam_member")
        if each["member"] == dispatch
    }

    assert accounts == {"pushpool-run-jobs", "pushpool-invoker"}


def test_the_pool_is_one(applied: Terraform, settings: dict[str, str], tmp_path: Path) -> None:
    """What the README says: the output is put after the deployments that the example ships."""
    pool = applied(GOOGLE_EXAMPLE, "output", "-raw", "work_pools", environment=settings)
    path = tmp_path / "pushpool.yaml"
    path.write_text((MODULES / GOOGLE_EXAMPLE / "pushpool.yaml").read_text(encoding="utf-8") + pool, encoding="utf-8")

    file = files.read(path)

    assert list(file.pools) == ["cloud-run"]
    assert {deployment.pool for deployment in file.deployments.values()} == {"cloud-run"}


def test_the_pools_variables_are_those_of_its_template(applied: Terraform) -> None:
    outputs = json.loads(applied(GOOGLE_EXAMPLE, "output", "-json"))
    text = outputs["work_pools"]["value"]
    template = json.loads((MODULES.parent / "templates/cloud-run-v2-push.json").read_text(encoding="utf-8"))

    named = {line.split('"')[1] for line in text.splitlines() if line.startswith(" " * 6)}

    assert named
    assert named <= set(template["variables"]["properties"])


def test_token_keys_are_made_turned_and_kept_out_of_the_state(applied: Terraform, settings: dict[str, str]) -> None:
    secret = Path(applied.environment["PUSHPOOL_PROVIDER_STUB"]) / "pushpool-token-keys"
    first = secret.read_text(encoding="utf-8")
    turn = applied.folder / GOOGLE_EXAMPLE / "turn_override.tf"
    turn.write_text('module "dispatcher" {\n  token_keys_version = 2\n}\n', encoding="utf-8")
    target = f"-target=module.dispatcher.{VERSION}.token_keys"
    applied(GOOGLE_EXAMPLE, "apply", "-input=false", "-auto-approve", target, environment=settings)
    turn.unlink()
    second = secret.read_text(encoding="utf-8")
    state = applied(GOOGLE_EXAMPLE, "state", "pull", environment=settings)

    assert KeyRing.parse(first).current == "k1"
    assert KeyRing.parse(second).current == "k2"
    assert second.split(",")[1] == first
    assert VERSION in state
    assert not [key for key in second.split(",") if key.partition(":")[2] in state]


def test_the_stand_in_knows_arguments_and_their_types(applied: Terraform) -> None:
    folder = applied.folder / "examples/wrong"
    folder.mkdir()
    (folder / "versions.tf").write_bytes((MODULES / GOOGLE_EXAMPLE / "versions.tf").read_bytes())
    (folder / "main.tf").write_text(_WRONG, encoding="utf-8")
    applied.init("examples/wrong")

    with pytest.raises(TerraformFailed) as said:
        applied("examples/wrong", "validate", "-no-color")

    assert 'An argument named "max_tries" is not expected here' in str(said.value)
    assert 'The argument "location" is required' in str(said.value)
    assert "max_dispatches_per_second" in str(said.value)


def _of(made: Made, kind: str) -> list[Mapping[str, Any]]:
    return [each for address, each in made.items() if address.startswith(f"{kind}.")]


def _needed(asked: Mapping[str, set[str]], folder: str) -> set[str]:
    """The permissions of the calls that an adapter's code names."""
    words: set[str] = set()
    for path in (ADAPTERS / folder).glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.name != "diagnosis.py" else ()
        words |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return {permission for call in asked.keys() & words for permission in asked[call]}
