"""Azure's own client and models, which the core does not know: whoever asks for them needs the extra `aci`."""

from __future__ import annotations

from typing import Any, TypeAlias

from dispatcher.testing.servers.cloud_run.theirs import module

Json: TypeAlias = dict[str, Any]

VERSION = "2023-05-01"  # of the API that azure-mgmt-containerinstance 10.1 speaks
TOKEN = "local"  # noqa: S105 - the bearer token of an emulator


def models() -> Any:
    """:raises Missing: azure-mgmt-containerinstance is not installed."""
    return module("azure.mgmt.containerinstance.models")


def client(endpoint: str, subscription: str, token: str = TOKEN) -> Any:
    """A ContainerInstanceManagementClient that makes each call once; operations are polled without a pause."""
    policies = module("azure.core.pipeline.policies")

    class Bearer(policies.SansIOHTTPPolicy):  # type: ignore[name-defined,misc]
        """The client's own refuses to send a token over http."""

        def on_request(self, request: Any) -> None:
            request.http_request.headers["Authorization"] = f"Bearer {token}"

    made = module("azure.mgmt.containerinstance").ContainerInstanceManagementClient
    return made(
        object(), subscription, f"http://{endpoint}", authentication_policy=Bearer(), retry_total=0, polling_interval=0
    )
