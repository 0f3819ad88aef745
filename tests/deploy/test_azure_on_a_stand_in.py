"""The example on Google Cloud with pools on Azure and Modal, applied to stand-ins that make nothing."""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters import azure
from adapters.infrastructure import aci
from dispatcher import files
from dispatcher.testing.terraform import GOOGLE_TO_OTHERS, MODULES, Terraform
from dispatcher.wiring import TOKENS

ADAPTER = Path(aci.__file__).parent
GROUPS = "Microsoft.ContainerInstance/containerGroups"
SUBSCRIPTION = "11111111-0000-4000-8000-000000000000"
TOKEN = {"token_id": "ak-a1B2", "token_secret": "as-c3D4"}

# What a call of the client library asks of whoever calls (Azure documentation, "Azure permissions for Containers").
_ACTIONS = {
    "begin_create_or_update": f"{GROUPS}/write",
    "begin_delete": f"{GROUPS}/delete",
    "begin_restart": f"{GROUPS}/restart/action",
    "begin_start": f"{GROUPS}/start/action",
    "get": f"{GROUPS}/read",
    "list": f"{GROUPS}/read",
    "list_by_resource_group": f"{GROUPS}/read",
    "list_capabilities": "Microsoft.ContainerInstance/locations/capabilities/read",
    "list_logs": f"{GROUPS}/containers/logs/read",
    "list_usage": "Microsoft.ContainerInstance/locations/usages/read",
    "look": "Microsoft.Resources/subscriptions/resourceGroups/read",
    "stop": f"{GROUPS}/stop/action",
    "update": f"{GROUPS}/write",
}

Made = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    package = tmp_path_factory.mktemp("package") / "pushpool-gcp-python3.11.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("main.py", "")
    network = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/main"
    identities = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers/Microsoft.ManagedIdentity"
    return {
        "TF_VAR_project": "my-project",
        "TF_VAR_region": "europe-west1",
        "TF_VAR_package": str(package),
        "TF_VAR_azure_subscription_id": SUBSCRIPTION,
        "TF_VAR_azure_region": "westeurope",
        "TF_VAR_azure_identities": json.dumps([f"{identities}/userAssignedIdentities/reports"]),
        "TF_VAR_azure_subnet_ids": json.dumps([f"{network}/subnets/jobs"]),
        "TF_VAR_modal_token": json.dumps(TOKEN),
        "TF_VAR_modal_token_version": "1",
    }


@pytest.fixture(scope="module")
def applied(google_to_others: Terraform, settings: dict[str, str]) -> Terraform:
    google_to_others(GOOGLE_TO_OTHERS, "apply", "-input=false", "-auto-approve", environment=settings)
    return google_to_others


@pytest.fixture(scope="module")
def made(applied: Terraform) -> Made:
    """Everything in the state by its address without its module, an instance's key behind a dot."""
    state = json.loads(applied(GOOGLE_TO_OTHERS, "state", "pull"))
    return {
        f"{each['type']}.{each['name']}.{part.get('index_key', '')}": part["attributes"]
        for each in state["resources"]
        for part in each["instances"]
    }


def test_a_second_plan_changes_nothing(applied: Terraform, settings: dict[str, str]) -> None:
    """It exits with 2 otherwise, which raises and shows the plan."""
    plan = ("plan", "-input=false", "-no-color", "-detailed-exitcode", "-refresh=false")
    applied(GOOGLE_TO_OTHERS, *plan, environment=settings)


def test_the_role_allows_what_the_adapter_calls_and_nothing_else(made: Made) -> None:
    allowed = set(made["azurerm_role_definition.dispatch."]["permissions"][0]["actions"])

    assert allowed == _needed()


def test_dispatch_reaches_one_resource_group_one_identity_and_one_subnet(made: Made) -> None:
    (identity,) = _of(made, "azurerm_user_assigned_identity")
    assignments = _of(made, "azurerm_role_assignment")
    places = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"

    assert {each["principal_id"] for each in assignments} == {identity["principal_id"]}
    assert {each["scope"] for each in assignments} == {
        f"{places}/pushpool-aci",
        f"{places}/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reports",
        f"{places}/network/providers/Microsoft.Network/virtualNetworks/main/subnets/jobs",
    }


def test_dispatch_is_let_in_as_the_account_that_google_signs_for(made: Made) -> None:
    (credential,) = _of(made, "azurerm_federated_identity_credential")
    account = made["google_service_account.function.dispatch"]

    assert (credential["issuer"], credential["subject"]) == ("https://accounts.google.com", account["unique_id"])
    assert credential["audience"] == [_asked_of_aws()["Audience"]]


def test_dispatch_on_aws_may_ask_for_the_tokens_that_it_asks_for_and_no_others() -> None:
    asked = _asked_of_aws()
    policy = (MODULES / "modules/aws-dispatcher/roles.tf").read_text(encoding="utf-8")
    allowed = dict(re.findall(r'{ "sts:(\w+)" += "(\w+)" }', policy))

    assert allowed == {"DurationSeconds": str(asked["DurationSeconds"]), "SigningAlgorithm": asked["SigningAlgorithm"]}
    assert f'["{asked["Audience"]}"] : {{' in policy


def test_dispatch_is_told_as_whom_it_acts(made: Made) -> None:
    (identity,) = _of(made, "azurerm_user_assigned_identity")
    function = made["google_cloudfunctions2_function.this.dispatch"]

    told = function["service_config"][0]["environment_variables"]

    assert told["PUSHPOOL_AZURE_CLIENT_ID"] == identity["client_id"]
    assert told["PUSHPOOL_AZURE_TENANT_ID"] == identity["tenant_id"]
    assert told["PUSHPOOL_AZURE_FEDERATION"] == "google"


def test_the_token_for_modal_is_where_dispatch_reads_it_and_not_in_the_state(applied: Terraform) -> None:
    secret = Path(applied.environment["PUSHPOOL_PROVIDER_STUB"]) / f"pushpool-{TOKENS['modal_token']}"
    state = applied(GOOGLE_TO_OTHERS, "state", "pull")

    assert json.loads(secret.read_text(encoding="utf-8")) == TOKEN
    assert not [part for part in TOKEN.values() if part in state]


def test_the_pools_are_two_with_variables_of_their_templates(
    applied: Terraform, settings: dict[str, str], tmp_path: Path
) -> None:
    """What the README says: the output is put after the deployments that the example ships."""
    pools = applied(GOOGLE_TO_OTHERS, "output", "-raw", "work_pools", environment=settings)
    path = tmp_path / "pushpool.yaml"
    shipped = (MODULES / GOOGLE_TO_OTHERS / "pushpool.yaml").read_text(encoding="utf-8")
    path.write_text(shipped + pools, encoding="utf-8")

    file = files.read(path)

    assert {name: pool.type for name, pool in file.pools.items()} == {
        "aci": "azure-container-instance:push",
        "modal": "modal:push",
    }
    assert {deployment.pool for deployment in file.deployments.values()} == {"aci", "modal"}
    for pool in file.pools.values():
        assert set(pool.variables) <= _template(pool.type)


def _of(made: Made, kind: str) -> list[Mapping[str, Any]]:
    return [each for address, each in made.items() if address.startswith(f"{kind}.")]


def _template(kind: str) -> set[str]:
    text = (MODULES.parent / "templates" / f"{kind.replace(':', '-')}.json").read_text(encoding="utf-8")
    return set(json.loads(text)["variables"]["properties"])


def _asked_of_aws() -> dict[str, Any]:
    """What the adapter gives to GetWebIdentityToken, of lists their one element."""
    parsed = _parsed(Path(azure.__file__))
    assigned = [node for node in parsed.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    constants = {target.id: node.value for node in assigned for target in node.targets if isinstance(target, ast.Name)}
    (call,) = (
        node
        for node in ast.walk(parsed)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get_web_identity_token"
    )
    asked: dict[str, Any] = {}
    for keyword in call.keywords:
        given = keyword.value.elts[0] if isinstance(keyword.value, ast.List) else keyword.value
        asked[str(keyword.arg)] = ast.literal_eval(constants[given.id] if isinstance(given, ast.Name) else given)
    return asked


def _needed() -> set[str]:
    """The actions of the library's calls behind those methods of its clients that the adapter calls to run jobs."""
    methods = {
        node.name: {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
        for node in ast.walk(_parsed(ADAPTER / "clients.py"))
        if isinstance(node, ast.FunctionDef)
    }
    called = {
        node.attr
        for path in ADAPTER.glob("*.py")
        if path.name not in ("clients.py", "diagnosis.py")
        for node in ast.walk(_parsed(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_clients"
    }
    return {_ACTIONS[word] for method in called & methods.keys() for word in methods[method] & _ACTIONS.keys()}


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
