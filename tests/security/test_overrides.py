"""What a deployment or a run may not do to the request of a shipped template, as an attacker would try it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from dispatcher import job_templates, registry
from dispatcher.errors import InvalidInput
from dispatcher.ports import Request

Json = dict[str, Any]
Requested = Callable[..., Request]

SHIPPED = registry.templates()

ROLE = "arn:aws:iam::123456789012:role/admin"
SECRET = {"secret": "root-password"}
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/admin"
SUBNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/core/subnets/db"
OTHER = "99999999-2222-3333-4444-555555555555"

ECS, AZURE, MODAL, V1, V2 = (
    "ecs:push", "azure-container-instance:push", "modal:push", "cloud-run:push", "cloud-run-v2:push"
)  # fmt: skip

# Ways out of the container, or to what is others', that no shipped template has a variable for.
UNKNOWN: Mapping[str, tuple[str, ...]] = {
    "process": ("uid", "user", "shell", "stdin", "preexec_fn"),
    ECS: (
        "privileged", "user", "volumes", "secrets", "mountPoints", "linuxParameters", "environmentFiles", "taskRoleArn",
        "enableExecuteCommand", "overrides", "task_definition", "task_run_request", "placementConstraints", "count",
        "startedBy", "clientToken", "group", "entryPoint", "repositoryCredentials", "pidMode", "ipcMode",
    ),
    V1: (
        "job_body", "serviceAccountName", "volumes", "vpcAccess", "annotations", "startExecutionToken", "vpc_network",
        "vpc_tags", "encryption_key", "containers", "binaryAuthorization",
    ),
    V2: (
        "job_body", "serviceAccount", "volumes", "vpcAccess", "containers", "startExecutionToken", "annotations",
        "runExecutionToken", "binaryAuthorization", "gcs_buckets", "nfs",
    ),
    AZURE: (
        "arm_template", "securityContext", "privileged", "volumes", "volumeMounts", "azureFile", "initContainers",
        "ipAddress", "extensions", "imageRegistryCredentials", "confidentialComputeProperties", "aci_credentials",
    ),
    MODAL: (
        "unencrypted_ports", "encrypted_ports", "h2_ports", "cloud_bucket_mounts", "network_file_systems", "proxy",
        "modal_credentials", "privileged", "pty_info", "experimental_options", "workdir",
    ),
}  # fmt: skip
ANYWHERE = (
    "job_configuration", "job_configuration.command", "variables", "strict", "properties.command", "$ref", "__class__",
    "env\x00", "", ".", "PUSHPOOL_API_URL", "aws_credentials", "image_pull_secrets",
)  # fmt: skip

# What reaches others' things and is the platform team's to lock: the value that an attacker would want.
LOCKABLE: Mapping[str, Json] = {
    "process": {"working_dir": "/root", "env": {"LD_PRELOAD": "/tmp/x.so"}, "command": ["id"]},
    ECS: {
        "task_role_arn": ROLE,
        "execution_role_arn": ROLE,
        "cluster": "production",
        "launch_type": "EC2",
        "region": "us-east-1",
        "network_configuration": {"subnets": ["subnet-0b"], "securityGroups": ["sg-0b"], "assignPublicIp": "ENABLED"},
        "vpc_id": "vpc-0b",
        "enable_execute_command": True,
        "capacity_provider_strategy": [{"capacityProvider": "gpus"}],
        "task_definition_arn": "payments:7",
        "prefect_api_key_secret_arn": "arn:aws:secretsmanager:eu-central-1:1:secret:root",
        "image": "attacker/miner:1",
        "cloudwatch_logs_options": {"awslogs-group": "payments"},
        "env": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/"},
    },
    V1: {
        "service_account_name": "root@team-data.iam.gserviceaccount.com",
        "project": "payments-1",
        "region": "us-east1",
        "vpc_connector_name": "core",
        "vpc_egress": "private-ranges-only",
        "cloudsql_instances": ["payments-1:us-east1:db"],
        "env_from_secrets": {"A": SECRET},
        "secret_files": {"/x/a": SECRET},
        "prefect_api_key_secret": SECRET,
        "prefect_api_auth_string_secret": SECRET,
        "env": {"GOOGLE_APPLICATION_CREDENTIALS": "/x"},
    },
    V2: {
        "service_account_name": "root@team-data.iam.gserviceaccount.com",
        "project": "payments-1",
        "region": "us-east1",
        "vpc_network": "core",
        "vpc_subnetwork": "core",
        "vpc_tags": ["db-client"],
        "vpc_connector_name": "core",
        "vpc_egress": "PRIVATE_RANGES_ONLY",
        "cloudsql_instances": ["payments-1:us-east1:db"],
        "encryption_key": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "env_from_secrets": {"A": SECRET},
        "secret_files": {"/x/a": SECRET},
        "prefect_api_key_secret": SECRET,
        "prefect_api_auth_string_secret": SECRET,
        "gpu_type": "nvidia-l4",
        "env": {"HTTPS_PROXY": "http://attacker.example"},
    },
    AZURE: {
        "identities": [IDENTITY],
        "subnet_ids": [SUBNET],
        "subscription_id": OTHER,
        "resource_group_name": "production",
        "region": "eastus",
        "other_regions": ["eastus"],
        "image_registry": {"registry_url": "team.azurecr.io", "identity": IDENTITY},
        "dns_servers": ["203.0.113.1"],
        "keep_container_group": True,
        "log_analytics_workspace_id": "w",
        "env": {"AZURE_CLIENT_ID": "root"},
    },
    MODAL: {
        "secrets": ["root"],
        "volumes": {"/x": "payments"},
        "app": "payments",
        "region": "us-east",
        "cloud": "oci",
        "environment": "prod",
        "gpu": "H100:8",
        "block_network": True,
        "outbound_cidr_allowlist": ["0.0.0.0/0"],
        "outbound_domain_allowlist": ["attacker.example"],
        "identity_token": True,
        "env": {"PYTHONPATH": "/x", "http_proxy": "http://attacker.example"},
    },
}
# Whoever may start a run decides what it does, as who it is and where it is not.
WHAT_IT_DOES = {"command", "env", "image", "working_dir"}
SECRETS: Mapping[str, Json] = {
    AZURE: {
        "secure_env": {"A": "root-password"},
        "image_registry_password": "root-password",
        "log_analytics_workspace_key": "root-password",
    },
}

# Text that some other machinery would act on. Here it is a word of a command, or a variable's value, as it stands.
INERT = (
    "{{ env }}", "{{ $PATH }}", "{{ $PUSHPOOL_TOKEN_KEYS }}", "{{{{ image }}}}", "$(id)", "`id`", "; rm -rf /", "&& id",
    "${AWS_SECRET_ACCESS_KEY}", "$(PUSHPOOL_RUN_TOKEN)", "%PATH%", "#{x}", "<%= x %>", "/properties/osType", "~0~1",
    '"}], "privileged": true, "x": [{"', "\\u0022", "line\nbreak", "[concat('a', 'b')]", "[parameters('x')]",
    "[reference('x').keys]", "!Ref X", "*anchor", "'; --", "../../etc/passwd", "file:///etc/passwd",
    "https://user:password@host/", "--privileged", "\u202e\u200b", "\x1b[2J",
)  # fmt: skip

RESERVED = {
    "PUSHPOOL_RUN_ID": "another",
    "PUSHPOOL_ATTEMPT": "9",
    "PUSHPOOL_SUBMISSION": "9",
    "PUSHPOOL_API_URL": "http://attacker.example",
    "PUSHPOOL_RUN_TOKEN": "mine",
    "PUSHPOOL_START_WITHOUT_CLAIM": "1",
    "PUSHPOOL_GRACE_SECONDS": "9999",
    "PUSHPOOL_PARAMETERS": "{}",
    "PUSHPOOL_ATTEMPT_FOLDER": "/",
    "PUSHPOOL_HOME": "/",
    "PUSHPOOL_STORE": "sqlite:///x",
}


def by_whom(variables: Json) -> list[tuple[Json, Json]]:
    """As a deployment's and as a run's."""
    return [(variables, {}), ({}, variables)]


def refused(kind: str, of_deployment: Json, of_run: Json, template: Json | None = None) -> str:
    """What it is refused with, when it is registered or ordered, and once more when it is rendered."""
    shipped = template or SHIPPED[kind]
    with pytest.raises(InvalidInput) as at_once:
        job_templates.check_overrides(shipped, {}, {}, of_deployment, of_run, require=False)
    with pytest.raises(InvalidInput):
        job_templates.render(shipped, {"command": ["job"]}, {}, of_deployment, of_run)
    return str(at_once.value)


def with_marks(kind: str, **marks: Json) -> Json:
    template = copy.deepcopy(SHIPPED[kind])
    for name, mark in marks.items():
        template["variables"]["properties"][name] |= mark
    job_templates.check_template(template, pool_type=kind)
    return template


def replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: replaced(part, old, new) for key, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, old, new) for part in value]
    return new if value == old else value


def test_every_shipped_template_is_attacked() -> None:
    assert SHIPPED.keys() == LOCKABLE.keys() == UNKNOWN.keys()


def test_what_has_no_variable_cannot_be_set(kind: str) -> None:
    for name in (*UNKNOWN[kind], *ANYWHERE):
        for value in (True, [{"privileged": True}]):
            for layers in by_whom({name: value}):
                assert "is not known" in refused(kind, *layers), name


def test_a_dotted_key_reaches_nothing_but_parts_of_variables(kind: str) -> None:
    deep = "task_definition.containerDefinitions[0].privileged"
    for key in (
        deep,
        "job_body.template.template.serviceAccount",
        "arm_template.resources[0].identity",
        "x[0]",
        "a..b",
    ):
        for layers in by_whom({key: True}):
            assert "is not known" in refused(kind, *layers), key


def test_a_dotted_key_without_end_is_refused(kind: str) -> None:
    assert "60 is the most" in refused(kind, {}, {"env." + "a." * 5000 + "a": "x"})


@pytest.mark.parametrize("depth", ["", ".inner"])
def test_a_locked_variable_is_the_pools_alone(kind: str, depth: str, requested: Requested) -> None:
    """What is left unlocked is taken, so that it is the lock that refuses it."""
    for name, value in LOCKABLE[kind].items():
        locked = with_marks(kind, **{name: {"x-locked": True}})
        for layers in by_whom({f"{name}{depth}": value}):
            assert f"variable '{name}' is locked by the pool" in refused(kind, *layers, locked), name
        for layers in by_whom({name: None}):
            assert "is locked by the pool" in refused(kind, *layers, locked), name
        job_templates.check_overrides(SHIPPED[kind], {}, {}, {name: value}, {}, require=False)
        assert requested(kind, {}, {}, locked).body == requested(kind, {}, {}).body


def test_whose_name_and_place_it_is_in_no_run_chooses(kind: str) -> None:
    for name in LOCKABLE[kind].keys() - WHAT_IT_DOES:
        for key in (name, f"{name}.inner"):
            said = refused(kind, {}, {key: LOCKABLE[kind][name]})
            assert f"variable '{name}' is not for runs to choose; set it in the deployment" in said


@pytest.mark.parametrize("spelled", ["]{}.inner", "{}].inner", "{}[inner].x", "{}]]..inner"])
def test_no_spelling_of_a_key_gets_around_a_mark(kind: str, spelled: str) -> None:
    """Each is the same part of the same variable, or of none."""
    for name in LOCKABLE[kind]:
        locked = with_marks(kind, **{name: {"x-locked": True}})
        key = spelled.format(f"{name[:1]}]{name[1:]}")
        for layers in by_whom({key: "x"}):
            assert "is locked by the pool" in refused(kind, *layers, locked), key
    for name in SECRETS.get(kind, {}):
        key = spelled.format(name)
        assert "names secrets" in refused(kind, {}, {key: "root-password"}), key


def test_what_a_run_does_a_run_may_say(kind: str) -> None:
    for name in LOCKABLE[kind].keys() & WHAT_IT_DOES:
        job_templates.check_overrides(SHIPPED[kind], {}, {}, {}, {name: LOCKABLE[kind][name]}, require=False)


def test_what_reaches_others_things_says_that_it_can_be_locked(kind: str) -> None:
    """So that a platform team that goes by the template misses none."""
    properties = SHIPPED[kind]["variables"]["properties"]
    advised = {name for name, schema in properties.items() if "Lock it" in schema["description"]}

    assert advised <= LOCKABLE[kind].keys() | SECRETS.get(kind, {}).keys()


@pytest.mark.parametrize("kind", SECRETS)
def test_a_run_names_no_secret(kind: str) -> None:
    for name, value in SECRETS[kind].items():
        assert "names secrets of this installation, and a run may not" in refused(kind, {}, {name: value})
        assert "names secrets" in refused(kind, {}, {f"{name}.A": "root-password"})


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_named_and_never_written_out(kind: str) -> None:
    for name in SECRETS[kind]:
        said = refused(kind, {name: "p@ss w0rd!"}, {})
        assert "p@ss" not in said


def test_no_value_spells_a_secrets_reference_itself(kind: str) -> None:
    for value in ({"$secret": "db"}, [{"$secret": "db"}], {"A": {"$secret": "db"}}):
        for name in ("env", "command", "labels", "name", "env.A"):
            if name in SHIPPED[kind]["variables"]["properties"] or "." in name:
                for layers in by_whom({name: value}):
                    assert refused(kind, *layers)


def test_a_prefect_block_is_refused_wherever_it_is_named(kind: str) -> None:
    for text in ("{{ prefect.blocks.secret.root }}", "x {{ prefect.variables.root }}"):
        for variables in ({"env": {"A": text}}, {"command": ["job", text]}):
            for layers in by_whom(variables):
                assert "pushpool has none" in refused(kind, *layers)
    for layers in by_whom({"env": {"A": {"$ref": {"block_document_id": "x"}}}}):
        assert refused(kind, *layers)


@pytest.mark.parametrize("text", INERT)
def test_text_stays_text_and_changes_nothing_else(kind: str, text: str, requested: Requested) -> None:
    """The request is that of a harmless value, with the text in its place."""
    for layer in (0, 1):
        harmless, hostile = (
            requested(kind, *by_whom({"env": {"A": value}, "command": ["job", value]})[layer]).body
            for value in ("harmless", text)
        )

        assert hostile == replaced(harmless, "harmless", text)


def test_names_that_are_ours_are_not_overridden(kind: str, requested: Requested) -> None:
    for layers in by_whom({"env": dict(RESERVED)}):
        assert requested(kind, *layers).body == requested(kind, {}, {}).body
    for layers in by_whom({"env": dict.fromkeys(RESERVED)}):
        assert requested(kind, *layers).body == requested(kind, {}, {}).body


def test_labels_cannot_claim_to_be_of_another_run(kind: str, requested: Requested) -> None:
    claims = {
        "managed-by": "another", "pushpool-run": "another", "pushpool-attempt": "9", "PUSHPOOL_run": "another",
        "pushpool:run": "another", "1pushpool-run": "another", "pushpool.run": "another",
    }  # fmt: skip
    ours = _marks(requested(kind, {}, {}).body)
    takes_labels = "labels" in SHIPPED[kind]["variables"]["properties"]
    for layers in by_whom({"labels": claims} if takes_labels else {}):
        claimed = _marks(requested(kind, *layers).body)
        assert {name: claimed[name] for name in ours} == ours


def _marks(value: Any) -> Json:
    """What says whose a request is: name → every value that it has anywhere."""
    found: Json = {}
    for holder in _holders(value):
        for name, said in holder.items():
            if name in ("managed-by", "startedBy", "clientToken") or str(name).startswith(("pushpool-", "pushpool:")):
                found.setdefault(name, []).append(said)
    return found


def _holders(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in it; a tag of AWS's as one of its name and value."""
    if isinstance(value, Mapping):
        yield {value["key"]: value["value"]} if set(value) == {"key", "value"} else value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _holders(part)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP", "HTTPS_PROXY", "AWS_SESSION_TOKEN"])
def test_a_platform_team_says_which_names_env_may_have(kind: str, name: str) -> None:
    """By default any: whoever chooses the command chooses its environment."""
    guarded = with_marks(kind, env={"propertyNames": {"pattern": "^JOB_"}})

    for layers in by_whom({"env": {name: "x"}}):
        assert name in refused(kind, *layers, guarded)
    for layers in by_whom({f"env.{name}": "x"}):
        assert name in refused(kind, *layers, guarded)
    job_templates.check_overrides(guarded, {}, {}, {"env": {"JOB_A": "x"}}, {}, require=False)
