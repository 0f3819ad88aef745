"""The project as gRPC services: google.cloud.run.v2 Jobs, Executions and Tasks, and google.longrunning.Operations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.conditions import FAILED, completed
from dispatcher.testing.servers.cloud_run.project import Operation, Project
from dispatcher.testing.servers.cloud_run.refusals import Refused
from dispatcher.testing.servers.cloud_run.theirs import Json, json_of, message_of, message_type

PAGE, LONGEST_PAGE = 100, 1000
ABORTED = 10

Handle = Callable[[Any], Any]


def add_to(server: Any, project: Project) -> None:
    """Beside whatever else the grpc server answers to."""
    operations = theirs.module("google.longrunning.operations_pb2")
    empty = theirs.module("google.protobuf.empty_pb2").Empty
    services = {
        "google.cloud.run.v2.Jobs": _jobs(project),
        "google.cloud.run.v2.Executions": _executions(project),
        "google.cloud.run.v2.Tasks": _tasks(project),
    }
    requests = {
        name: {call: (message_type(f"{call}Request"), handle) for call, handle in calls.items()}
        for name, calls in services.items()
    }
    requests["google.longrunning.Operations"] = {
        "GetOperation": (operations.GetOperationRequest, lambda request: _operation(project, request.name)),
        "WaitOperation": (operations.WaitOperationRequest, lambda request: _waited(project, request)),
        "DeleteOperation": (operations.DeleteOperationRequest, lambda _: empty()),
    }
    grpc = theirs.grpc()
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(
                name, {call: _method(kind, handle) for call, (kind, handle) in calls.items()}
            )
            for name, calls in requests.items()
        )
    )


def _method(kind: Any, handle: Handle) -> Any:
    def answer(request: Any, context: Any) -> Any:
        try:
            return handle(request)
        except Refused as refused:
            refused.abort(context)

    return theirs.grpc().unary_unary_rpc_method_handler(
        answer, request_deserializer=kind.FromString, response_serializer=lambda message: message.SerializeToString()
    )


def _jobs(project: Project) -> dict[str, Handle]:
    def create(request: Any) -> Any:
        made = project.create_job(
            request.parent, json_of(request.job), request.job_id, validate_only=request.validate_only
        )
        return _shown(project, made)

    return {
        "CreateJob": create,
        "GetJob": lambda request: _message(project, "Job", project.get_job(request.name)),
        "ListJobs": lambda request: _page(project, "Jobs", request, project.list_jobs(request.parent)),
        "DeleteJob": lambda request: _shown(
            project, project.delete_job(request.name, request.etag, validate_only=request.validate_only)
        ),
        "RunJob": lambda request: _shown(
            project, project.run_job(request.name, json_of(request.overrides), validate_only=request.validate_only)
        ),
    }


def _executions(project: Project) -> dict[str, Handle]:
    return {
        "GetExecution": lambda request: _message(project, "Execution", project.get_execution(request.name)),
        "ListExecutions": lambda request: _page(
            project, "Executions", request, project.list_executions(request.parent)
        ),
        "CancelExecution": lambda request: _shown(
            project, project.cancel_execution(request.name, validate_only=request.validate_only)
        ),
        "DeleteExecution": lambda request: _shown(project, project.delete_execution(request.name)),
    }


def _tasks(project: Project) -> dict[str, Handle]:
    def get(request: Any) -> Any:
        found = project.list_tasks(request.name.rpartition("/tasks/")[0])
        task = next((each for each in found if each["name"] == request.name), None)
        if task is None:
            raise Refused("NOT_FOUND", f"Resource '{request.name}' does not exist.")
        return _message(project, "Task", task)

    return {
        "GetTask": get,
        "ListTasks": lambda request: _page(project, "Tasks", request, project.list_tasks(request.parent)),
    }


def _message(project: Project, kind: str, resource: Json) -> Any:
    with project.changing:
        shown = copy.deepcopy(resource)
    return message_of(kind, shown)


def _page(project: Project, kind: str, request: Any, found: list[Json]) -> Any:
    """A page's token is where the next begins."""
    size = min(request.page_size or PAGE, LONGEST_PAGE)
    start = int(request.page_token or 0)
    page = message_type(f"List{kind}Response")()
    getattr(page, kind.lower()).extend(
        _message(project, kind.removesuffix("s"), each) for each in found[start : start + size]
    )
    page.next_page_token = str(start + size) if start + size < len(found) else ""
    return page


def _operation(project: Project, name: str) -> Any:
    operation, _, _ = project.operation_of(name)
    return _shown(project, operation)


def _waited(project: Project, request: Any) -> Any:
    """The server may answer at any time (google.longrunning, WaitOperation): this one does when it is done."""
    operation, _, done = project.operation_of(request.name)
    life = project.lives.get(operation.resource)
    if not done and life is not None:
        life.ended.wait(min(request.timeout.seconds or 60, 60))
    return _shown(project, operation)


def _shown(project: Project, operation: Operation) -> Any:
    """As it is now. One of an execution that was cancelled is done without an error."""
    with project.changing:
        resource, done = project.progress(operation)
        message = _message(project, operation.kind, resource)
        is_execution = operation.kind == "Execution" and bool(resource)
        said: Json = completed(resource) if is_execution else resource.get("terminalCondition") or {}
    found = theirs.module("google.longrunning.operations_pb2").Operation(
        name=operation.name, metadata=theirs.packed(message), done=done
    )
    failed = said.get("state") == FAILED and said.get("executionReason") != "CANCELLED"
    if done and failed:
        found.error.code, found.error.message = ABORTED, said.get("message", "")
    elif done:
        found.response.Pack(message)
    return found
