"""What the calls for logs, and those that go on for a while, answer: the control plane's and a worker's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from dispatcher.testing.servers.modal import theirs
from dispatcher.testing.servers.modal.calls import Answer, auth_token
from dispatcher.testing.servers.modal.sandbox_calls import until
from dispatcher.testing.servers.modal.sandboxes import Sandbox
from dispatcher.testing.servers.modal.workspace import Workspace

Stream: TypeAlias = Callable[[Any], AsyncIterator[Any]]


def of_logs(workspace: Workspace, address: str) -> dict[str, Answer]:
    """`address`: of the worker that runs the containers of the second version."""
    api = theirs.api()

    def fetched(request: Any) -> Any:
        found = [each for each in workspace.sandboxes.values() if _is_wanted(each, request)]
        lines = [(each, line) for each in found for line in each.log.splitlines(keepends=True)]
        batches = [
            api.TaskLogsBatch(task_id=each.task_id, sandbox_id=each.id, items=[_line(each, line)])
            for each, line in lines[-request.limit :]
        ]
        return api.AppFetchLogsResponse(batches=batches)

    def access(request: Any) -> Any:
        found = workspace.sandbox(request.sandbox_id) if request.sandbox_id else workspace.of_task(request.task_id)
        return api.SandboxGetCommandRouterAccessResponse(url=address, jwt=auth_token(found.task_id))

    return {"AppFetchLogs": fetched, "SandboxGetCommandRouterAccess": access}


def streams(workspace: Workspace) -> dict[str, Stream]:
    api = theirs.api()

    async def joined(request: Any) -> AsyncIterator[Any]:
        build = workspace.build(request.image_id)
        await until(lambda: build.is_done, request.timeout)
        yield api.ImageJoinStreamingResponse(result=build.result(), eof=build.is_done)

    async def logs(request: Any) -> AsyncIterator[Any]:
        """A stream ends with `eof` when the sandbox has; what it wrote to stderr is in stdout."""
        found = workspace.sandbox(request.sandbox_id)
        await until(lambda: found.has_ended, request.timeout)
        begin = int(request.last_entry_id or 0)
        if request.file_descriptor == api.FILE_DESCRIPTOR_STDOUT and (text := found.log[begin:]):
            yield api.TaskLogsBatch(task_id=found.task_id, items=[_line(found, text)], entry_id=str(begin + len(text)))
        if found.has_ended:
            yield api.TaskLogsBatch(task_id=found.task_id, eof=True)

    return {"ImageJoinStreaming": joined, "SandboxGetLogs": logs}


def of_workers(workspace: Workspace) -> dict[str, Stream]:
    """What a worker answers itself."""
    router = theirs.router()

    async def output(request: Any) -> AsyncIterator[Any]:
        found = workspace.of_task(request.task_id)
        await until(lambda: found.has_ended, 60)
        is_stdout = request.file_descriptor == router.SANDBOX_STDIO_FILE_DESCRIPTOR_STDOUT
        if is_stdout and (data := found.log.encode()[request.offset :]):
            yield router.SandboxStdioReadV2Response(data=data, starting_offset=request.offset)

    return {"SandboxStdioReadV2": output}


def _is_wanted(sandbox: Sandbox, request: Any) -> bool:
    wanted = {"app_id": request.app_id, "task_id": request.task_id, "id": request.sandbox_id}
    return all(getattr(sandbox, name) == value for name, value in wanted.items() if value)


def _line(sandbox: Sandbox, text: str) -> Any:
    api = theirs.api()
    return api.TaskLogs(data=text, timestamp=sandbox.started_at, file_descriptor=api.FILE_DESCRIPTOR_STDOUT)
