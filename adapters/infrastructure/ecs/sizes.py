"""How much cpu and memory a task has, and the pairs of them that Fargate offers. Pure."""

from __future__ import annotations

import re

from dispatcher.errors import InvalidInput

DEFAULT_CPU, DEFAULT_MEMORY = 1024, 2048  # as Prefect's worker has them

# Developer guide, "Troubleshoot Amazon ECS task definition invalid CPU or memory errors".
FARGATE_MEMORY: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: (1024, 2048, 3072, 4096),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}

_CPU = re.compile(r"(\d+(?:\.\d+)?)\s*vcpu", re.IGNORECASE)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*gb", re.IGNORECASE)


def cpu_units(cpu: object) -> int:
    """1024 for `1024`, `"1024"` and `"1 vCPU"` (API RegisterTaskDefinition, `cpu`). :raises InvalidInput:"""
    return _number("cpu", cpu, _CPU, "cpu units (1024 are one vCPU)")


def memory_mib(memory: object) -> int:
    """2048 for `2048`, `"2048"` and `"2 GB"` (API RegisterTaskDefinition, `memory`). :raises InvalidInput:"""
    return _number("memory", memory, _MEMORY, "MiB")


def check_fargate(cpu: int, memory: int) -> None:
    """:raises InvalidInput: Fargate has no such pair; says which it has."""
    allowed = FARGATE_MEMORY.get(cpu)
    if allowed is None:
        values = ", ".join(map(str, FARGATE_MEMORY))
        raise InvalidInput(f"cpu is {cpu}, and Fargate has {values} cpu units", path="cpu")
    if memory not in allowed:
        raise InvalidInput(
            f"cpu {cpu} with memory {memory} is a pair that Fargate refuses; with cpu {cpu}, memory can be "
            f"{_spelled(allowed)}",
            path="memory",
        )


def _spelled(allowed: tuple[int, ...]) -> str:
    if len(allowed) <= 4:
        return ", ".join(map(str, allowed))
    return f"{allowed[0]} to {allowed[-1]} MiB in steps of {allowed[1] - allowed[0]}"


def _number(what: str, value: object, unit: re.Pattern[str], meaning: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    if found := unit.fullmatch(text):
        return round(float(found[1]) * 1024)
    raise InvalidInput(f"{what} is {value!r}: write a whole number of {meaning}", path=what)
