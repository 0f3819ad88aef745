"""What a server of forks imports first: without it each dispatcher would load it anew, and that takes most of a life.

Nothing is opened here. What is not installed is left out: no cell has it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from dispatcher import registry

ADAPTERS = [where.partition(":")[0] for where in (*registry.STORES.values(), *registry.INFRASTRUCTURE.values())]
# Clients that adapters import at their first call.
CLIENTS = (
    "google.cloud.run_v2",
    "google.protobuf.json_format",
    "azure.mgmt.containerinstance.models",
    "azure.identity",
    "azure.core.rest",
    "azure.core.pipeline.policies",
    "azure.mgmt.core.policies",
    "adapters.infrastructure.modal.service",
)
BOTO_SERVICES = ("dynamodb", "ecs")  # of whose API botocore reads the description for each session


def _imported(names: Sequence[str]) -> None:
    for name in names:
        with suppress(ImportError):
            import_module(name)


def _described(services: Sequence[str]) -> None:
    """All sessions share one loader, which has read those."""
    with suppress(ImportError):
        loaders: Any = import_module("botocore.loaders")
        loaders.create_loader = cache(loaders.create_loader)
        loader = loaders.create_loader(None)
        loader.load_data("endpoints")
        for service in services:
            for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
                loader.load_service_model(service, kind)


_imported([*ADAPTERS, *CLIENTS])
_described(BOTO_SERVICES)
