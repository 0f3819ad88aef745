"""Where container groups can be, how large they may be there, and what is left of a subscription's quotas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dispatcher.testing.servers.azure import rules
from dispatcher.testing.servers.azure.life import Group
from dispatcher.testing.servers.azure.theirs import Json

REGIONS = {
    "westeurope": "West Europe", "northeurope": "North Europe", "germanywestcentral": "Germany West Central",
    "swedencentral": "Sweden Central", "uksouth": "UK South", "francecentral": "France Central",
    "switzerlandnorth": "Switzerland North", "eastus": "East US", "eastus2": "East US 2", "westus": "West US",
    "westus2": "West US 2", "centralus": "Central US", "southcentralus": "South Central US",
    "canadacentral": "Canada Central", "brazilsouth": "Brazil South", "japaneast": "Japan East",
    "southeastasia": "Southeast Asia", "australiaeast": "Australia East",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """The largest group that a region takes."""

    cpu: float = rules.MOST_CPU
    memory: float = rules.MOST_MEMORY


def capabilities(region: str, size: Size) -> Json:
    """Location_ListCapabilities; no region has GPUs since they were retired on 14 July 2025."""
    most = {"maxMemoryInGB": size.memory, "maxCpu": size.cpu, "maxGpuCount": 0}
    return {
        "value": [
            {
                "resourceType": "containerGroups", "osType": "Linux", "location": REGIONS[region],
                "ipAddressType": kind, "gpu": "None", "capabilities": most,
            }
            for kind in ("Public", "Private")
        ]
    }  # fmt: skip


def usages(subscription: str, region: str, used: Iterable[tuple[str, float, int]]) -> Json:
    """Location_ListUsage."""
    place = f"/subscriptions/{subscription}/providers/Microsoft.ContainerInstance/locations/{region}/usages"
    return {
        "value": [
            {
                "id": f"{place}/{name}", "unit": "Count", "currentValue": round(count), "limit": limit,
                "name": {"value": name, "localizedValue": name},
            }
            for name, count, limit in used
        ]
    }  # fmt: skip


def cores(groups: Iterable[Group]) -> float:
    """That count against the quota."""
    return sum(rules.size(group.body["properties"]["containers"])[0] for group in groups if group.has_cores)


def asked(containers: list[Json]) -> str:
    """In the service's words."""
    cpu, memory = rules.size(containers)
    gpus = rules.gpus(containers)
    return f"'{cpu:g}' CPU '{memory:g}' GB memory" + (f" '{gpus}' GPU" if gpus else "")
