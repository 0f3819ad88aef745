"""How much cpu and memory a task has, and how long it may run. Pure."""

from __future__ import annotations

import re

from dispatcher.errors import InvalidInput

WEEK, HOUR = 7 * 86400, 3600
# What the runner needs besides the command: until the scheduled time, which is 900 s at the most (a pool's
# `prefetch_seconds`), and to claim, to stop, to report.
HEADROOM_SECONDS = 900 + 300

# Documentation, "Configure CPU limits for jobs", "vCPU and memory table": MiB with so many cpus, from and to.
MEMORY = {1: (512, 4096), 2: (512, 8192), 4: (2048, 16384), 6: (4096, 24576), 8: (4096, 32768)}
LEAST_GPU_CPU, LEAST_GPU_MEMORY = 4, 16384  # "Configure GPUs for jobs"

_CPU = re.compile(r"(?P<milli>\d+)m|(?P<whole>\d+(\.\d+)?)")
_MEMORY = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>Gi|G|Mi|M)")
_MEBIBYTES = {"Mi": 1.0, "Gi": 1024.0, "M": 1e6 / 2**20, "G": 1e9 / 2**20}
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s?")


def cpus(cpu: object) -> float:
    """1.0 for `1`, `"1"` and `"1000m"`. :raises InvalidInput: it is none, or none that Cloud Run has."""
    found = _CPU.fullmatch(str(cpu)) if not isinstance(cpu, bool) else None
    number = (int(found["milli"]) / 1000 if found["milli"] else float(found["whole"])) if found else 0.0
    if number in MEMORY or 0.08 <= number < 1:
        return number
    have = ", ".join(map(str, MEMORY))
    raise InvalidInput(f"cpu is {cpu!r}: Cloud Run has {have}, written `2` or `2000m`", path="cpu")


def mebibytes(memory: object) -> float:
    """512.0 for `"512Mi"`. :raises InvalidInput:"""
    found = _MEMORY.fullmatch(str(memory))
    if found is None:
        raise InvalidInput(f"memory is {memory!r}: write it as `512Mi` or `2Gi`", path="memory")
    return float(found["number"]) * _MEBIBYTES[found["unit"]]


def check_pair(cpu: object, memory: object) -> None:
    """:raises InvalidInput: Cloud Run has no such pair; says what goes with it."""
    number, size = cpus(cpu), mebibytes(memory)
    least, most = MEMORY.get(round(number), (512, 4096)) if number >= 1 else (512, 512 if number < 0.5 else 1024)
    if least <= size <= most:
        return
    enough = [str(count) for count, (low, high) in MEMORY.items() if low <= size <= high]
    more = f"; for {memory}, cpu can be {', '.join(enough)}" if enough else ""
    raise InvalidInput(
        f"memory is {memory} with cpu {cpu}, and with that it can be {_spelled(least)} to {_spelled(most)}{more}",
        path="memory",
    )


def check_gpu(cpu: object, memory: object) -> None:
    """:raises InvalidInput: too little of them beside a GPU."""
    if cpus(cpu) < LEAST_GPU_CPU or mebibytes(memory) < LEAST_GPU_MEMORY:
        raise InvalidInput(
            f"cpu is {cpu} and memory {memory}, and with a GPU a task has at least {LEAST_GPU_CPU} cpus and "
            f"{_spelled(LEAST_GPU_MEMORY)}",
            path="memory" if cpus(cpu) >= LEAST_GPU_CPU else "cpu",
        )


def timeout_of(wanted: int | None, given: object, *, gpu: bool) -> str:
    """A task's timeout, as the API takes it: the deployment's and what the runner needs; else the template's.

    Without either it is the longest there is: a week, an hour with a GPU ("Set task timeout for jobs").

    :raises InvalidInput: it is longer.
    """
    longest = HOUR if gpu else WEEK
    beside = " with a GPU" if gpu else ""
    if wanted is not None:
        if wanted > longest:
            what = f"the deployment's timeout is {wanted} s, and a task of Cloud Run{beside} may run for {longest} s"
            raise InvalidInput(f"{what}; shorten it", path="timeout_seconds")
        return f"{min(wanted + HEADROOM_SECONDS, longest)}s"
    if given is None:
        return f"{longest}s"
    found = _SECONDS.fullmatch(str(given)) if not isinstance(given, bool) else None
    if found is None or not 0 < float(found[1]) <= longest:
        raise InvalidInput(
            f"timeout is {given!r}: write seconds, more than 0 and at most {longest}{beside}", path="timeout"
        )
    return f"{float(found[1]):.9g}s"


def _spelled(mebibytes: int) -> str:
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
