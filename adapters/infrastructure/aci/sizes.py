"""How much cpu and memory a container group has. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.infrastructure.aci import arm
from dispatcher.errors import InvalidInput

# "Resource availability & quota limits for ACI": of a container group.
MOST_CPU, MOST_MEMORY = 31.0, 240.0
MOST_SPOT_CPU, MOST_SPOT_MEMORY = 4.0, 16.0
GPU_WAY_OUT = (
    "Azure took GPUs out of container instances in every region on 14 July 2025; leave gpu_count and gpu_sku out, and "
    "run it on an ecs:push, cloud-run-v2:push or modal:push pool"
)

Json = dict[str, Any]


def check_no_gpu(configuration: Mapping[str, Any]) -> None:
    """:raises InvalidInput: one is asked for."""
    for name in ("gpu_count", "gpu_sku"):
        if configuration.get(name):
            raise InvalidInput(f"{name} is {configuration[name]!r}; {GPU_WAY_OUT}", path=name)


def put_sizes(containers: Sequence[Json], configuration: Mapping[str, Any], *, spot: bool) -> None:
    """Each container's requests as numbers; the main one's are the variables where its template has none.

    :raises InvalidInput: it is no number, or their sum is more than a container group may have.
    """
    main = _requests(containers[0])
    main.setdefault("cpu", configuration.get("cpu") or 1)
    main.setdefault("memoryInGB", configuration.get("memory") or 1)
    for name, key, most in (
        ("cpu", "cpu", MOST_SPOT_CPU if spot else MOST_CPU),
        ("memory", "memoryInGB", MOST_SPOT_MEMORY if spot else MOST_MEMORY),
    ):
        whole = 0.0
        for each in containers:
            requests = _requests(each)
            if key in requests:
                requests[key] = _number(requests[key], name)
                whole += requests[key]
        if whole > most:
            of_what = "a Spot container group" if spot else "a container group"
            raise InvalidInput(
                f"{name} is {whole:g}, and {of_what} has at most {MOST_SPOT_CPU if spot else MOST_CPU:g} vCPU and "
                f"{MOST_SPOT_MEMORY if spot else MOST_MEMORY:g} GB; ask for less",
                path=name,
            )


def _requests(container: Json) -> Json:
    part = container
    for key in ("properties", "resources", "requests"):
        inner = part.setdefault(key, {})
        if not isinstance(inner, dict):
            what = f"{key} of a container is {inner!r}: write an object"
            raise InvalidInput(what, path=f"{arm.PATH}.properties.containers")
        part = inner
    if part.pop("gpu", None):
        raise InvalidInput(f"a container asks for a gpu; {GPU_WAY_OUT}", path=f"{arm.PATH}.properties.containers")
    return part


def _number(given: object, name: str) -> float:
    try:
        number = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        unit = "GB" if name == "memory" else "vCPU"
        raise InvalidInput(f"{name} is {given!r}: write a number of {unit}, as in 1.5", path=name)
    return number
