"""Derives `schemas/` from what CDK for Terraform publishes of the providers; prints where they went.

    python -m tests.servers.terraform_providers.derive [FOLDER WITH THE WHEELS]

What the published classes do not hold is added by hand from the providers' own pages: write-only arguments, ephemeral
resources, and the providers' configuration cut down to what the modules and examples give.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.terraform_providers.sources import sources

TARGET = Path(__file__).with_name("schemas")
NOTICE = (
    "Derived from {package}, Copyright (c) 2025 HashiCorp, Inc., which describes hashicorp/{name} {version}. "
    "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was "
    "not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/. "
    "Remade by tests/servers/terraform_providers/derive.py."
)

_STRING = {"type": "string"}
_BOOL = {"type": "bool"}
_TEXT = {**_STRING, "optional": True}
_GOOGLES = ("access_token", "credentials", "project", "region", "zone", "user_project_override")


@dataclass(frozen=True)
class Published:
    """A provider as it is published, what of it is used, and what is added by hand."""

    name: str
    package: str
    version: str
    resources: list[str]
    data_sources: list[str]
    configuration: dict[str, Any]
    ephemeral: dict[str, Any] = field(default_factory=dict[str, Any])
    write_only: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def wanted(self) -> dict[str, tuple[str, str]]:
        """Folder → part of the schema, and name in it."""
        resources = {each: (f"{each.replace('_', '-')}", "resource_schemas") for each in self.resources}
        data = {
            each: (f"data-{self.name}-{each.replace('_', '-')}", "data_source_schemas") for each in self.data_sources
        }
        found = [*resources.items(), *data.items()]
        return {folder: (part, f"{self.name}_{each}") for each, (folder, part) in found}


GOOGLE = Published(
    name="google",
    package="cdktf-cdktf-provider-google==16.12.1",
    version="6.50.0",
    resources=[
        "artifact_registry_repository_iam_member", "cloud_run_v2_service_iam_member", "cloud_scheduler_job",
        "cloud_tasks_queue", "cloud_tasks_queue_iam_member", "cloudfunctions2_function", "firestore_database",
        "firestore_field", "firestore_index", "iam_workload_identity_pool", "iam_workload_identity_pool_provider",
        "logging_metric", "logging_project_sink", "monitoring_alert_policy", "project_iam_custom_role",
        "project_iam_member", "project_service", "pubsub_subscription", "pubsub_subscription_iam_member",
        "pubsub_topic", "pubsub_topic_iam_member", "secret_manager_secret", "secret_manager_secret_iam_member",
        "secret_manager_secret_version", "service_account", "service_account_iam_member", "storage_bucket",
        "storage_bucket_object",
    ],
    data_sources=["project"],
    configuration={"attributes": dict.fromkeys(_GOOGLES, _TEXT)},
    # Provider documentation, "Ephemeral resources".
    ephemeral={
        "google_secret_manager_secret_version": {
            **dict.fromkeys(("project", "version"), _TEXT),
            "secret": {**_STRING, "required": True},
            "is_secret_data_base64": {**_BOOL, "optional": True},
            **{name: {**_STRING, "computed": True} for name in ("create_time", "destroy_time", "name")},
            "secret_data": {**_STRING, "computed": True, "sensitive": True},
            "enabled": {**_BOOL, "computed": True},
        }
    },
    write_only={"google_secret_manager_secret_version": ["secret_data_wo"]},
)  # fmt: skip

AZURE = Published(
    name="azurerm",
    package="cdktf-cdktf-provider-azurerm==14.23.1",
    version="4.55.0",
    resources=[
        "federated_identity_credential", "resource_group", "role_assignment", "role_definition",
        "user_assigned_identity",
    ],
    data_sources=["client_config", "resource_group"],
    # Provider documentation, "Argument Reference"; `features` must be there, and may be empty.
    configuration={
        "attributes": {
            **dict.fromkeys(("client_id", "environment", "subscription_id", "tenant_id"), _TEXT),
            **{name: {**_BOOL, "optional": True} for name in ("use_cli", "use_msi", "use_oidc")},
            "resource_provider_registrations": _TEXT,
            "resource_providers_to_register": {"type": ["list", "string"], "optional": True},
        },
        "block_types": {"features": {"nesting_mode": "list", "min_items": 1, "max_items": 1, "block": {}}},
    },
)  # fmt: skip

# hashicorp/random 3.7, "random_password (Ephemeral Resource)".
_KINDS = ("lower", "numeric", "special", "upper")
RANDOM: dict[str, Any] = {
    "provider": {"block": {}},
    "ephemeral_resource_schemas": {
        "random_password": {
            "block": {
                "attributes": {
                    "length": {"type": "number", "required": True},
                    **{name: {**_BOOL, "optional": True, "computed": True} for name in _KINDS},
                    **{f"min_{name}": {"type": "number", "optional": True, "computed": True} for name in _KINDS},
                    "override_special": _TEXT,
                    **{name: {**_STRING, "computed": True, "sensitive": True} for name in ("bcrypt_hash", "result")},
                }
            }
        }
    },
}


def derived(published: Published, wheel: Path) -> dict[str, Any]:
    """:raises SystemExit: the wheel lacks a resource."""
    schemas: dict[str, Any] = {
        "notice": NOTICE.format_map(vars(published)),
        "provider": {"block": published.configuration},
        "resource_schemas": {},
        "data_source_schemas": {},
        "ephemeral_resource_schemas": {
            name: {"block": {"attributes": each}} for name, each in published.ephemeral.items()
        },
    }
    wanted = published.wanted
    found = dict(sources(wheel, wanted))
    if missing := sorted(wanted.keys() - found.keys()):
        raise SystemExit(f"{wheel.name} lacks {', '.join(missing)}")
    for folder, source in sorted(found.items()):
        part, name = wanted[folder]
        schemas[part][name] = source.schema()
    for resource, names in published.write_only.items():
        for name in names:
            schemas["resource_schemas"][resource]["block"]["attributes"][name]["write_only"] = True
    return schemas


def _a_line_each(value: Any, depth: int = 2) -> str:
    """JSON in which every schema is a line, so that a change can be read."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return (
        "{\n"
        + ",\n".join(f"{json.dumps(name)}: {_a_line_each(each, depth - 1)}" for name, each in value.items())
        + "\n}"
    )


def _write(name: str, schemas: dict[str, Any]) -> None:
    target = TARGET / f"{name}.json"
    target.write_text(_a_line_each(schemas) + "\n", encoding="utf-8")
    sys.stdout.write(f"{target}\n")


def main(folder: str | None) -> None:
    with tempfile.TemporaryDirectory() as own:
        place = Path(folder or own)
        for each in (GOOGLE, AZURE):
            if not folder:
                fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", own, each.package]
                subprocess.run(fetch, check=True)
            (wheel,) = place.glob(f"cdktf_cdktf_provider_{each.name}-*.whl")
            _write(each.name, derived(each, wheel))
    _write("random", RANDOM)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
