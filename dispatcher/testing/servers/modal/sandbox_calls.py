"""What the calls for sandboxes do to a workspace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from dispatcher.testing.servers.modal import theirs
from dispatcher.testing.servers.modal.calls import Answer
from dispatcher.testing.servers.modal.refusals import invalid
from dispatcher.testing.servers.modal.sandboxes import tags_of
from dispatcher.testing.servers.modal.workspace import Workspace


async def until(holds: Callable[[], bool], seconds: float) -> None:
    """Returns as soon as it holds, or when the time is over."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:  # noqa: ASYNC110 # threads bring it about
        await asyncio.sleep(0.01)


def of_sandboxes(workspace: Workspace) -> dict[str, Answer]:
    """Those of the second version have calls of their own, which look the same and say so in their names."""
    calls = _Calls(workspace)
    same: dict[str, Answer] = {
        "SandboxWait": calls.wait,
        "SandboxGetTaskId": calls.task,
        "SandboxTerminate": calls.terminate,
        "SandboxTagsGet": calls.tags,
        "SandboxTagsSet": calls.set_tags,
    }
    return {
        **same,
        **{f"{name}V2": answer for name, answer in same.items()},
        "SandboxCreate": calls.create,
        "SandboxCreateV2": calls.create_newer,
        "SandboxGetFromName": calls.named(1),
        "SandboxGetFromNameV2": calls.named(2),
        "SandboxList": calls.listed(1),
        "SandboxListV2": calls.listed(1, 2),
    }


class _Calls:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._api = workspace, theirs.api()

    def create(self, request: Any) -> Any:
        told: dict[str, str] = {}
        for secret_id in request.definition.secret_ids:
            told |= self._workspace.secrets.get(secret_id).content
        made = self._workspace.create(request.app_id, request.definition, _tags(request), told, 1)
        return self._api.SandboxCreateResponse(sandbox_id=made.id, metadata=made.metadata())

    def create_newer(self, request: Any) -> Any:
        if request.definition.resources.gpu_config.gpu_type:
            raise invalid("GPUs are not supported by V2 Sandboxes.")
        secrets, told = self._workspace.secrets, dict(request.ephemeral_secrets.contents)
        for source in request.secret_sources:
            told |= secrets.get(source.secret_id).content if source.secret_id else dict(source.env.contents)
        made = self._workspace.create(request.app_id, request.definition, _tags(request), told, 2)
        return self._api.SandboxCreateV2Response(sandbox_id=made.id, task_id=made.task_id, metadata=made.metadata())

    async def wait(self, request: Any) -> Any:
        found = self._workspace.sandbox(request.sandbox_id)
        await until(lambda: found.has_ended, request.timeout)
        return self._api.SandboxWaitResponse(result=found.result, metadata=found.metadata())

    def task(self, request: Any) -> Any:
        found = self._workspace.sandbox(request.sandbox_id)
        task_id = found.task_id if found.started_at else None
        return self._api.SandboxGetTaskIdResponse(task_id=task_id, task_result=found.result)

    def terminate(self, request: Any) -> Any:
        found = self._workspace.sandbox(request.sandbox_id)
        existing = found.result
        found.terminate()
        return self._api.SandboxTerminateResponse(existing_result=existing)

    def tags(self, request: Any) -> Any:
        return self._api.SandboxTagsGetResponse(tags=tags_of(self._workspace.sandbox(request.sandbox_id).tags))

    def set_tags(self, request: Any) -> Any:
        self._workspace.sandbox(request.sandbox_id).tags = _tags(request)
        return theirs.module("google.protobuf.empty_pb2").Empty()

    def named(self, version: int) -> Answer:
        def answer(request: Any) -> Any:
            found = self._workspace.sandbox_named(request, version)
            return self._api.SandboxGetFromNameResponse(sandbox_id=found.id, metadata=found.metadata())

        return answer

    def listed(self, *versions: int) -> Answer:
        def answer(request: Any) -> Any:
            found = self._workspace.listed(request, versions)
            return self._api.SandboxListResponse(sandboxes=[each.listed() for each in found])

        return answer


def _tags(request: Any) -> dict[str, str]:
    return {tag.tag_name: tag.tag_value for tag in request.tags}
