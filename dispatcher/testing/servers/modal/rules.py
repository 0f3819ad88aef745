"""What the service refuses of a sandbox.

Names, tags and what goes together are checked by the client too (`modal._utils.name_utils`), ranges by the service
alone (modal.com/docs/guide: sandbox timeouts, resources, gpu, region selection).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dispatcher.testing.servers.modal.refusals import invalid

LONGEST_SECONDS = 86400
MOST_ARGUMENT_BYTES = 2**16
LEAST_MILLI_CPU, LEAST_MEMORY_MB = 125, 128  # what a container gets that asks for nothing
MOST_MILLI_CPU, MOST_MEMORY_MB = 64_000, 344_064
MOST_GPUS = {"A10": 4, "A10G": 4}
GPUS = frozenset({"T4", "L4", "A10", "A10G", "L40S", "RTX-PRO-6000", "H100", "H100!", "H200", "B200"}) | frozenset(
    {"A100", "A100-40GB", "A100-80GB"}
)
REGIONS = frozenset(
    {"us", "us-east", "us-east-1", "us-central", "us-west", "us-south", "eu", "eu-west", "eu-north", "eu-south", "ap"}
    | {"ap-northeast", "ap-southeast", "ap-south", "ap-melbourne", "uk", "ca", "me", "sa", "af", "mx", "jp", "au"}
)
CLOUDS = frozenset({"", "aws", "gcp", "oci", "auto"})

_NAME = re.compile(r"[a-zA-Z0-9-_.]{1,64}")
_APP_ID = re.compile(r"ap-[a-zA-Z0-9]{22}")
_TAG = re.compile(r"[a-zA-Z0-9._-]{1,63}")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_name(kind: str, name: str) -> None:
    """:raises Refused:"""
    if not _NAME.fullmatch(name) or _APP_ID.fullmatch(name):
        raise invalid(f"Invalid {kind} name: '{name}'.")


def check_tags(tags: Mapping[str, str]) -> None:
    """:raises Refused:"""
    for text in (*tags, *tags.values()):
        if not _TAG.fullmatch(text):
            raise invalid(f"Invalid tag: '{text}'.")


def check_environment(variables: Mapping[str, str]) -> None:
    """:raises Refused:"""
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise invalid(f"Secret key name '{name}' is invalid for environment variables.")


def check_definition(definition: Any, gpus_of: Mapping[str, frozenset[str]]) -> None:
    """`gpus_of`: what each region has that has not all. :raises Refused:"""
    if definition.HasField("name"):
        check_name("Sandbox", definition.name)
    if not 1 <= definition.timeout_secs <= LONGEST_SECONDS:
        raise invalid(f"Sandbox timeout must be between 1 and {LONGEST_SECONDS} seconds.")
    if sum(len(word) for word in definition.entrypoint_args) > MOST_ARGUMENT_BYTES:
        raise invalid(f"Total length of CMD arguments cannot exceed {MOST_ARGUMENT_BYTES} bytes.")
    if definition.cloud_provider_str.lower() not in CLOUDS:
        raise invalid(f"Invalid cloud provider: '{definition.cloud_provider_str}'.")
    paths = [mount.mount_path for mount in definition.volume_mounts]
    if len(set(paths)) < len(paths) or not all(path.startswith("/") for path in paths):
        raise invalid("Volume mount paths must be absolute, and each its own.")
    _check_resources(definition.resources)
    _check_placement(definition, gpus_of)


def _check_resources(resources: Any) -> None:
    for what, asked, least, most in (
        ("CPU", resources.milli_cpu, LEAST_MILLI_CPU, MOST_MILLI_CPU),
        ("Memory", resources.memory_mb, LEAST_MEMORY_MB, MOST_MEMORY_MB),
    ):
        if asked and not least <= asked <= most:
            raise invalid(f"{what} request of {asked} is outside of {least} to {most}.")
    gpu = resources.gpu_config
    if gpu.gpu_type and gpu.gpu_type not in GPUS:
        raise invalid(f"Unknown GPU type: '{gpu.gpu_type}'.")
    if gpu.gpu_type and not 1 <= gpu.count <= MOST_GPUS.get(gpu.gpu_type, 8):
        raise invalid(f"Invalid GPU count for {gpu.gpu_type}: {gpu.count}.")


def _check_placement(definition: Any, gpus_of: Mapping[str, frozenset[str]]) -> None:
    regions = list(definition.scheduler_placement.regions)
    for region in regions:
        if region not in REGIONS:
            raise invalid(f"Unknown region: '{region}'.")
    gpu = definition.resources.gpu_config.gpu_type
    if gpu and regions and not any(gpu in gpus_of.get(region, GPUS) for region in regions):
        raise invalid(f"GPU type {gpu} is not available in region {', '.join(regions)}.")
