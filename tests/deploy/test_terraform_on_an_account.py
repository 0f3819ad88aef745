"""The example, planned for and applied to an account."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore import xform_name

from adapters.stores.dynamodb import table
from dispatcher import files
from dispatcher.testing.terraform import EXAMPLE, MODULES, Terraform
from dispatcher.tokens import KeyRing

ADAPTERS = Path(table.__file__).parents[2]
TOKEN_KEYS = "module.dispatcher.aws_secretsmanager_secret_version.token_keys"


@pytest.fixture(scope="module")
def planned_table(terraform: Terraform, account: dict[str, str]) -> Any:
    plan = terraform.planned(EXAMPLE, environment={**account, "TF_VAR_keep_data": "true"})
    return next(each["values"] for address, each in _planned(plan) if address.endswith("aws_dynamodb_table.this"))


def test_the_table_is_the_one_that_the_store_speaks_to(planned_table: Any) -> None:
    definition = table.definition(planned_table["name"])
    indexes = definition["GlobalSecondaryIndexes"]

    assert planned_table["billing_mode"] == definition["BillingMode"]
    assert {each["name"]: each["type"] for each in planned_table["attribute"]} == {
        each["AttributeName"]: each["AttributeType"] for each in definition["AttributeDefinitions"]
    }
    assert [planned_table["hash_key"], planned_table["range_key"]] == _keys(definition)
    assert {
        each["name"]: [each["hash_key"], each["range_key"], each["projection_type"]]
        for each in planned_table["global_secondary_index"]
    } == {each["IndexName"]: [*_keys(each), each["Projection"]["ProjectionType"]] for each in indexes}
    assert planned_table["ttl"] == [{"attribute_name": table.EXPIRES, "enabled": True}]


def test_data_is_protected_unless_the_example_is_for_trying_out(planned_table: Any) -> None:
    assert planned_table["deletion_protection_enabled"] is True
    assert planned_table["point_in_time_recovery"][0]["enabled"] is True


# One test, because an account is filled and emptied in more than a minute.
def test_the_example_goes_up_needs_no_further_change_and_leaves_nothing(
    terraform: Terraform, account: dict[str, str], tmp_path: Path
) -> None:
    before = _everything(account)
    terraform(EXAMPLE, "apply", "-input=false", "-auto-approve", environment=account)
    try:
        outputs = _outputs(terraform, account)
        made = _made(terraform, account)
        _assert_nothing_is_left_to_change(terraform, account)
        _assert_roles_allow_what_is_called(made)
        _assert_functions_wake_by_the_queue(made, outputs["wake_queue_url"])
        _assert_the_pool_is_one(outputs["work_pools"], tmp_path)
        assert _answer(outputs["api_url"]) == (200, "placeholder")
        _assert_token_keys_are_made_turned_and_kept_out_of_the_state(terraform, account)
    finally:
        terraform(EXAMPLE, "destroy", "-input=false", "-auto-approve", "-refresh=false", environment=account)

    assert _everything(account) == before


def _assert_nothing_is_left_to_change(terraform: Terraform, account: Mapping[str, str]) -> None:
    """Then a plan exits with 0, and else with 2, which raises and shows the plan."""
    terraform(EXAMPLE, "plan", "-input=false", "-no-color", "-detailed-exitcode", environment=account)


def _assert_roles_allow_what_is_called(made: Mapping[str, Any]) -> None:
    """No call of an adapter is refused, and nothing else is allowed. Transactions are authorised item by item."""
    allowed = {address: _actions(each["policy"]) for address, each in made.items() if "aws_iam_role_policy" in address}
    store = {f"dynamodb:{call}" for call in _calls("stores/dynamodb", "dynamodb", but="table.py")}
    transactions = {"dynamodb:TransactWriteItems"}
    waker = {f"sqs:{call}" for call in _calls("wakers", "sqs")}
    secrets = {f"secretsmanager:{call}" for call in _calls("secrets", "secretsmanager")}
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    received = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    everywhere = ((store - transactions) | {"dynamodb:ConditionCheckItem"}) | waker | logs
    ecs = {f"ecs:{call}" for call in _calls("infrastructure/ecs", "ecs", but="diagnosis.py")}

    function = "module.dispatcher.aws_iam_role_policy.function"
    assert transactions <= store
    assert allowed[f"{function}.events"] == everywhere
    assert allowed[f"{function}.api"] == everywhere | secrets
    assert allowed[f"{function}.dispatch"] == everywhere | secrets | received
    assert allowed["module.pool.aws_iam_role_policy.dispatch"] == ecs | {"ecs:TagResource", "iam:PassRole"}


def _assert_functions_wake_by_the_queue(made: Mapping[str, Any], url: str) -> None:
    told = {
        address.rpartition(".")[2]: each["environment"][0]["variables"]["PUSHPOOL_WAKER"]
        for address, each in made.items()
        if address.startswith("module.dispatcher.aws_lambda_function.this")
    }
    assert told == dict.fromkeys(["api", "dispatch", "events"], f"sqs:{url}")


def _assert_the_pool_is_one(work_pools: str, folder: Path) -> None:
    """What the README says: the output is put after the deployments that the example ships."""
    path = folder / "pushpool.yaml"
    path.write_text((MODULES / EXAMPLE / "pushpool.yaml").read_text(encoding="utf-8") + work_pools, encoding="utf-8")

    file = files.read(path)

    assert list(file.pools) == ["fargate"]
    assert {deployment.pool for deployment in file.deployments.values()} == {"fargate"}


def _assert_token_keys_are_made_turned_and_kept_out_of_the_state(
    terraform: Terraform, account: Mapping[str, str]
) -> None:
    first = _token_keys(account)
    turn = terraform.folder / EXAMPLE / "turn_override.tf"
    turn.write_text('module "dispatcher" {\n  token_keys_version = 2\n}\n', encoding="utf-8")
    terraform(EXAMPLE, "apply", "-input=false", "-auto-approve", f"-target={TOKEN_KEYS}", environment=account)
    second = _token_keys(account)
    turn.unlink()
    state = terraform(EXAMPLE, "state", "pull", environment=account)

    assert KeyRing.parse(first).current == "k1"
    assert KeyRing.parse(second).current == "k2"
    assert second.split(",")[1] == first
    assert TOKEN_KEYS.rpartition(".")[2] in state
    assert not [key for key in second.split(",") if key.partition(":")[2] in state]


def _token_keys(account: Mapping[str, str]) -> str:
    value: str = _client(account, "secretsmanager").get_secret_value(SecretId="pushpool/token-keys")["SecretString"]
    return value


def _answer(url: str) -> tuple[int, str]:
    """Its host is a name that only the emulator knows."""
    parts = urlsplit(url)
    connection = HTTPConnection("127.0.0.1", parts.port or 80, timeout=30)
    connection.request("GET", "/v1/work-pools", headers={"Host": parts.netloc})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def _everything(account: Mapping[str, str]) -> dict[str, Any]:
    """What there is in the account, of each kind that the modules make."""
    kinds: dict[str, Callable[[], Any]] = {
        "tables": lambda: _client(account, "dynamodb").list_tables()["TableNames"],
        "queues": lambda: _client(account, "sqs").list_queues().get("QueueUrls", []),
        "secrets": lambda: _client(account, "secretsmanager").list_secrets()["SecretList"],
        "functions": lambda: _client(account, "lambda").list_functions()["Functions"],
        "mappings": lambda: _client(account, "lambda").list_event_source_mappings()["EventSourceMappings"],
        "roles": lambda: [each["RoleName"] for each in _client(account, "iam").list_roles()["Roles"]],
        "groups": lambda: _client(account, "logs").describe_log_groups()["logGroups"],
        "rules": lambda: _client(account, "events").list_rules()["Rules"],
        "schedules": lambda: _client(account, "scheduler").list_schedules()["Schedules"],
        "apis": lambda: _client(account, "apigatewayv2").get_apis()["Items"],
        "alarms": lambda: _client(account, "cloudwatch").describe_alarms()["MetricAlarms"],
        "clusters": lambda: _client(account, "ecs").list_clusters()["clusterArns"],
    }
    return {kind: found() for kind, found in kinds.items()}


def _client(account: Mapping[str, str], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=account["AWS_ENDPOINT_URL"],
        region_name=account["AWS_REGION"],
        aws_access_key_id=account["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=account["AWS_SECRET_ACCESS_KEY"],
    )


def _outputs(terraform: Terraform, account: Mapping[str, str]) -> dict[str, Any]:
    told = json.loads(terraform(EXAMPLE, "output", "-json", environment=account))
    return {name: each["value"] for name, each in told.items()}


def _made(terraform: Terraform, account: Mapping[str, str]) -> dict[str, Any]:
    """Everything in the state by its address, an instance's key behind a dot."""
    state = json.loads(terraform(EXAMPLE, "state", "pull", environment=account))
    return {
        ".".join([each["module"], each["type"], each["name"], *([str(key)] if (key := part.get("index_key")) else [])]):
        part["attributes"]
        for each in state["resources"]
        if "module" in each
        for part in each["instances"]
    }  # fmt: skip


def _planned(plan: Any) -> list[tuple[str, Any]]:
    def of(module: Any) -> list[tuple[str, Any]]:
        here = [(each["address"], each) for each in module.get("resources", [])]
        return here + [each for child in module.get("child_modules", []) for each in of(child)]

    return of(plan["planned_values"]["root_module"])


def _actions(policy: str) -> set[str]:
    return {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}


def _keys(definition: Mapping[str, Any]) -> list[str]:
    keys = {each["KeyType"]: each["AttributeName"] for each in definition["KeySchema"]}
    return [keys["HASH"], keys["RANGE"]]


def _calls(folder: str, service: str, *, but: str = "") -> set[str]:
    """The operations of a service that an adapter's code names, in Python's spelling of them."""
    operations = botocore.session.get_session().get_service_model(service).operation_names
    spelled = {xform_name(operation): operation for operation in operations}
    words: set[object] = set()
    for path in (ADAPTERS / folder).glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) if path.name != but else []
        words |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        words |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    return {operation for word, operation in spelled.items() if word in words}


@pytest.mark.parametrize("length", [1, 29])
def test_a_pools_definitions_are_those_that_its_policy_names(length: int) -> None:
    from fnmatch import fnmatchcase

    from adapters.infrastructure.ecs.rendering import family_of

    text = (MODULES / "modules/aws-ecs-pool/main.tf").read_text(encoding="utf-8")
    question_marks = "?" * text.count("?", text.index("task-definition/pushpool-"), text.index(':*"'))
    pool = "a." * (length // 2) + "a"

    pattern = f"pushpool-{pool.replace('.', '-')}-{question_marks}"

    assert fnmatchcase(family_of(pool, {"cpu": "256"}), pattern)
    assert not fnmatchcase(family_of(f"{pool}-b", {"cpu": "256"}), pattern)
