"""How much cpu, memory and GPU a sandbox has, and how long it may live. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from dispatcher.errors import InvalidInput

DAY = 86400  # the longest life of a sandbox (guide, "Sandboxes", "Timeouts")
# What the runner needs besides the command: until the scheduled time, which is 900 s at the most (a pool's
# `prefetch_seconds`), and to claim, to stop, to report.
HEADROOM_SECONDS = 900 + 300
LEAST_CPU, LEAST_MEMORY = 0.125, 128  # guide, "Reserving CPU and memory"
MOST_GPUS = 8

_GPU = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9-]*!?)(:(?P<count>[0-9]+))?")


def timeout_of(wanted: int | None, given: object) -> int:
    """Seconds: the deployment's and what the runner needs; else the template's.

    Without either it is the longest there is: Modal's own default, 300, is never meant.

    :raises InvalidInput: it is longer than that.
    """
    if wanted is not None:
        if wanted > DAY:
            what = f"the deployment's timeout is {wanted} s, and a sandbox of Modal may live for {DAY} s"
            raise InvalidInput(f"{what}; shorten it", path="timeout_seconds")
        return min(wanted + HEADROOM_SECONDS, DAY)
    if given is None:
        return DAY
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= DAY:
        return given
    raise InvalidInput(f"timeout is {given!r}: write whole seconds, from 1 to {DAY}", path="timeout")


def cpu_of(configuration: Mapping[str, Any]) -> list[float] | None:
    """Cores that are reserved, and the most there may be; without `cpu` what Modal gives. :raises InvalidInput:"""
    return _pair(configuration, "cpu", LEAST_CPU, whole=False, way_out="write cores, as in 0.5 or 2")


def memory_of(configuration: Mapping[str, Any]) -> list[int] | None:
    """MiB, as `cpu_of`. :raises InvalidInput:"""
    pair = _pair(configuration, "memory", LEAST_MEMORY, whole=True, way_out="write whole MiB, as in 512")
    return [int(size) for size in pair] if pair else None


def gpu_of(gpu: object) -> str | None:
    """As Modal writes it: a kind, and how many of it. :raises InvalidInput:"""
    if gpu is None or gpu == "":
        return None
    found = _GPU.fullmatch(gpu) if isinstance(gpu, str) else None
    if found is None or not 1 <= int(found["count"] or 1) <= MOST_GPUS:
        raise InvalidInput(
            f"gpu is {gpu!r}: write a kind of Modal's, as in A10G, or kind and number up to {MOST_GPUS}, as in H100:2",
            path="gpu",
        )
    return found[0]


def _pair(configuration: Mapping[str, Any], key: str, least: float, *, whole: bool, way_out: str) -> list[float] | None:
    """What is reserved and, if that is given, the limit."""
    limit = f"{key}_limit"
    given = [(name, configuration.get(name)) for name in (key, limit)]
    for name, value in given:
        if value is not None and not (_is_number(value, whole=whole) and value >= least):
            raise InvalidInput(f"{name} is {value!r}: {way_out}, and at least {least}", path=name)
    sizes = [value for _, value in given if value is not None]
    if configuration.get(key) is None and sizes:
        raise InvalidInput(f"{limit} is {sizes[0]} without {key}; give both", path=key)
    if sizes != sorted(sizes):
        raise InvalidInput(f"{limit} is {sizes[1]}, and {key} is {sizes[0]}: a limit is no lower", path=limit)
    return sizes or None


def _is_number(value: object, *, whole: bool) -> TypeGuard[float]:
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
