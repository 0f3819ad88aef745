"""The hand on a subscription as `infrastructure_suite` wants it: pools of container instances, and their jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher import job_templates, registry
from dispatcher.ports import Closing, Infrastructure, Job
from dispatcher.testing.servers.azure.serving import AzureApi

TYPE = "azure-container-instance:push"


class AzureCloud:
    """`settings`: what each adapter is opened with."""

    def __init__(self, api: AzureApi, settings: Mapping[str, str] | None = None) -> None:
        self.api, self._settings = api, dict(settings or {})
        self._opened: list[Infrastructure] = []

    def open(self) -> Infrastructure:
        made = registry.infrastructure(TYPE, self._settings)
        self._opened.append(made)
        return made

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        script = 'printf "%s" "$0"; ' + ("exec sleep 60" if exits is None else f"exit {exits}")
        command = ["sh", "-c", script, prints or "nothing"]
        return self.with_variables(run_id, attempt=attempt, submit_seq=submit_seq, command=command)

    def with_variables(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, refusals: int = 0, **variables: Any
    ) -> Job:
        """What is not given is as small as it can be."""
        given = {
            "image": self.api.image,
            "runner": False,
            "command": "true",
            "subscription_id": self.api.subscription.id,
            "resource_group_name": self.api.resource_group,
            **variables,
        }
        return Job(
            pool="nightly",
            run_id=run_id,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=submit_seq,
            refusals=refusals,
            configuration=job_templates.render(registry.template(TYPE), given),
            environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt)},
        )

    def started(self, run_id: str) -> int:
        return len(self.api.started(run_id))

    def unknown_handle(self) -> str:
        place = f"/subscriptions/{self.api.subscription.id}/resourceGroups/{self.api.resource_group}"
        return f"{place}/providers/Microsoft.ContainerInstance/containerGroups/pushpool-{'0' * 32}-1-1"

    def fail_next(self, kind: str) -> bool:
        self.api.fail_next(kind)
        return True

    def kill(self, handle: str) -> bool:
        self.api.kill(handle)
        return True

    def event(self, handle: str) -> Mapping[str, Any] | None:  # noqa: ARG002 - of any
        return None

    def close(self) -> None:
        """Nothing of what was there is there any more."""
        self.api.forget_faults()
        for name in self.api.groups():
            self.api.delete(name)
        for each in self._opened:
            if isinstance(each, Closing):
                each.close()
