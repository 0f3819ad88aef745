"""What doctors of every infrastructure look at: a job that is never started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher.ports import Job


def stand_in(configuration: Mapping[str, Any]) -> Job:
    return Job(
        pool="doctor",
        run_id="doctor",
        run_name="doctor",
        deployment="doctor",
        attempt=1,
        submit_seq=1,
        configuration=configuration,
        environment={},
    )


def with_image(configuration: Mapping[str, Any], image: str) -> Mapping[str, Any]:
    """A pool need not have an image nor a command: deployments bring theirs."""
    found, command = configuration.get("image") or image, configuration.get("command") or ["true"]
    return {**configuration, "image": found, "command": command}
