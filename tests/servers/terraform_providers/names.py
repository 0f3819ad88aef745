"""What clouds make of given names, where something refers to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

NUMBER = "123456789012"
TENANT = "00000000-0000-4000-8000-000000000001"

_ACCOUNT = "{account_id}@{project}.iam.gserviceaccount.com"
_POOL = f"projects/{NUMBER}/locations/global/workloadIdentityPools/{{workload_identity_pool_id}}"
_GROUP = "/subscriptions/{subscription_id}/resourceGroups/{name}"
_IDENTITY = (
    "/subscriptions/{subscription_id}/resourceGroups/{resource_group_name}"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
)
_NAMES = {
    ("google_cloudfunctions2_function", "service_config.service"): (
        "projects/{project}/locations/{location}/services/{name}"
    ),
    ("google_iam_workload_identity_pool", "name"): _POOL,
    ("google_iam_workload_identity_pool_provider", "name"): _POOL + "/providers/{workload_identity_pool_provider_id}",
    ("google_logging_project_sink", "writer_identity"): (
        f"serviceAccount:service-{NUMBER}@gcp-sa-logging.iam.gserviceaccount.com"
    ),
    ("google_project", "number"): NUMBER,
    ("google_project_iam_custom_role", "name"): "projects/{project}/roles/{role_id}",
    ("google_secret_manager_secret", "id"): "projects/{project}/secrets/{secret_id}",
    ("google_secret_manager_secret", "name"): f"projects/{NUMBER}/secrets/{{secret_id}}",
    ("google_service_account", "email"): _ACCOUNT,
    ("google_service_account", "member"): f"serviceAccount:{_ACCOUNT}",
    ("google_service_account", "name"): f"projects/{{project}}/serviceAccounts/{_ACCOUNT}",
    ("google_service_account", "unique_id"): "100000000000000000001",
    ("azurerm_resource_group", "id"): _GROUP,
    ("azurerm_user_assigned_identity", "id"): _IDENTITY,
    ("azurerm_user_assigned_identity", "client_id"): "00000000-0000-4000-8000-000000000002",
    ("azurerm_user_assigned_identity", "principal_id"): "00000000-0000-4000-8000-000000000003",
    ("azurerm_role_definition", "role_definition_resource_id"): (
        "{scope}/providers/Microsoft.Authorization/roleDefinitions/{name}"
    ),
}  # fmt: skip


def ambient(provider: str, configuration: Mapping[str, Any]) -> dict[str, str]:
    """Where everything is that does not say otherwise, as its arguments name it."""
    if provider == "azurerm":
        subscription = _text(
            configuration.get("subscription_id"), os.environ.get("ARM_SUBSCRIPTION_ID", "subscription")
        )
        return {"subscription_id": subscription, "tenant_id": TENANT}
    return {"project": _text(configuration.get("project"), os.environ.get("GOOGLE_CLOUD_PROJECT", "project"))}


def _text(given: object, otherwise: str) -> str:
    return given if isinstance(given, str) else otherwise


def name_of(kind: str, path: str, known: Mapping[str, Any]) -> str | None:
    """What the cloud makes of a resource's known arguments at a path; None where nothing refers to it."""
    named = _NAMES.get((kind, path))
    if named is not None:
        return named.format_map(known)
    return f"{kind}/{_said(known)}" if path == "id" else None


def _said(known: Mapping[str, Any]) -> str:
    """The given arguments that say which one it is."""
    which = (
        "project", "subscription_id", "scope", "parent_id", "location", "database", "collection", "bucket", "name",
        "secret_id", "account_id", "role", "role_definition_id", "member", "principal_id",
    )  # fmt: skip
    return "/".join(str(known[name]) for name in which if isinstance(known.get(name), str))
