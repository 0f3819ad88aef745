"""Cloud Tasks and Secret Manager as gRPC services, with Google's own messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.refusals import Refused
from dispatcher.testing.servers.google.secrets import DESTROYED, DISABLED, ENABLED, SecretManager, Version
from dispatcher.testing.servers.google.tasks import CloudTasks

Handle: TypeAlias = Callable[[Any], Any]


def add_tasks(server: Any, tasks: CloudTasks) -> None:
    """Beside whatever else the grpc server answers to."""
    kinds = theirs.module("google.cloud.tasks_v2")
    empty = theirs.module("google.protobuf.empty_pb2").Empty

    def create_queue(request: Any) -> Any:
        tasks.make_queue(request.queue.name, most_tries=request.queue.retry_config.max_attempts or 100)
        return request.queue

    def create_task(request: Any) -> Any:
        return _basic(tasks.create(request.parent, request.task))

    def delete_task(request: Any) -> Any:
        tasks.delete(request.name)
        return empty()

    _serve(server, "google.cloud.tasks.v2.CloudTasks", kinds, {
        "CreateQueue": create_queue,
        "GetQueue": lambda request: kinds.Queue.pb()(name=tasks.queue(request.name)),
        "CreateTask": create_task,
        "GetTask": lambda request: _basic(tasks.task(request.name)),
        "ListTasks": lambda request: kinds.ListTasksResponse.pb()(tasks=map(_basic, tasks.tasks(request.parent))),
        "DeleteTask": delete_task,
    })  # fmt: skip


def _basic(task: Any) -> Any:
    """As it is shown unless more is asked for (`Task.View`): without its body."""
    shown = type(task)()
    shown.CopyFrom(task)
    shown.http_request.ClearField("body")
    return shown


def add_secrets(server: Any, secrets: SecretManager) -> None:
    """Beside whatever else the grpc server answers to."""
    kinds = theirs.module("google.cloud.secretmanager_v1")
    empty = theirs.module("google.protobuf.empty_pb2").Empty

    def shown(version: Version) -> Any:
        return kinds.SecretVersion.pb()(name=version.name, state=kinds.SecretVersion.State[version.state].value)

    def create(request: Any) -> Any:
        return kinds.Secret.pb()(name=secrets.create(f"{request.parent}/secrets/{request.secret_id}"))

    def delete(request: Any) -> Any:
        secrets.delete(request.name)
        return empty()

    def access(request: Any) -> Any:
        version = secrets.access(request.name)
        return kinds.AccessSecretVersionResponse.pb()(name=version.name, payload={"data": version.data})

    _serve(server, "google.cloud.secretmanager.v1.SecretManagerService", kinds, {
        "CreateSecret": create,
        "DeleteSecret": delete,
        "AddSecretVersion": lambda request: shown(secrets.add(request.parent, request.payload.data)),
        "GetSecretVersion": lambda request: shown(secrets.version(request.name)),
        "AccessSecretVersion": access,
        "EnableSecretVersion": lambda request: shown(secrets.set_state(request.name, ENABLED)),
        "DisableSecretVersion": lambda request: shown(secrets.set_state(request.name, DISABLED)),
        "DestroySecretVersion": lambda request: shown(secrets.set_state(request.name, DESTROYED)),
    })  # fmt: skip


def _serve(server: Any, service: str, kinds: Any, calls: Mapping[str, Handle]) -> None:
    grpc = theirs.grpc()
    methods = {call: _method(getattr(kinds, f"{call}Request").pb(), handle) for call, handle in calls.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))


def _method(kind: Any, handle: Handle) -> Any:
    def answer(request: Any, context: Any) -> Any:
        try:
            return handle(request)
        except Refused as refused:
            refused.abort(context)

    return theirs.grpc().unary_unary_rpc_method_handler(
        answer, request_deserializer=kind.FromString, response_serializer=lambda message: message.SerializeToString()
    )
