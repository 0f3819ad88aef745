"""The workspace as Modal's own gRPC services. A call that it does not know is UNIMPLEMENTED.

A client tries a call up to four times under one idempotency key (`modal._utils.grpc_utils`), which has its effect once.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from dispatcher.testing.servers.modal import calls, faults, output, sandbox_calls, theirs
from dispatcher.testing.servers.modal.calls import Answer
from dispatcher.testing.servers.modal.output import Stream
from dispatcher.testing.servers.modal.refusals import Refused
from dispatcher.testing.servers.modal.workspace import Workspace

log = logging.getLogger("pushpool.modal")

Handler = Callable[[Any, Any], Any]  # the service, which it does not need, and the call's stream


def services(workspace: Workspace, address: str) -> list[Any]:
    """What a grpclib server takes. `address`: where it answers."""
    once = _Once(workspace)
    answers = {
        **calls.of_workspaces(workspace),
        **calls.of_things(workspace),
        **calls.of_images(workspace),
        **sandbox_calls.of_sandboxes(workspace),
        **output.of_logs(workspace, address),
    }
    control = {name: once.unary(name, answer) for name, answer in answers.items()}
    control |= {name: _stream(workspace, answer) for name, answer in output.streams(workspace).items()}
    workers = {name: _stream(None, answer) for name, answer in output.of_workers(workspace).items()}
    return [
        _served(theirs.module("modal_proto.api_grpc").ModalClientBase, control),
        _served(theirs.module("modal_proto.task_command_router_grpc").TaskCommandRouterBase, workers),
    ]


def _served(base: Any, handlers: Mapping[str, Handler]) -> Any:
    rest = dict.fromkeys(base.__abstractmethods__ - handlers.keys(), _unknown)
    return type(base.__name__, (base,), {**rest, **handlers})()


async def _unknown(_: Any, stream: Any) -> None:
    await stream.recv_message()
    raise Refused("UNIMPLEMENTED", "This call is not known here.").error()


class _Once:
    """Unary calls: each needs a token, meets with what was ordered, and has one effect however often it is tried."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._replies: dict[str, Any] = {}

    def unary(self, name: str, answer: Answer) -> Handler:
        self._workspace.ordered.known.add(name.removesuffix("V2"))

        async def handle(_: Any, stream: Any) -> None:
            request = await stream.recv_message()
            try:
                reply = await self._reply(name, answer, request, stream.metadata)
            except Refused as refused:
                raise refused.error() from None
            except Exception:
                log.exception("%s ended in an error", name)
                raise
            await stream.send_message(reply)

        return handle

    async def _reply(self, name: str, answer: Answer, request: Any, metadata: Any) -> Any:
        """:raises Refused:"""
        workspace, key = self._workspace, str(metadata.get("x-idempotency-key") or uuid4())
        again = metadata.get("x-retry-attempt", "0") != "0"
        workspace.calls[name] += 1
        workspace.authenticate(metadata.get("x-modal-token-id", ""), metadata.get("x-modal-token-secret", ""))
        call = name.removesuffix("V2")
        fault = workspace.ordered.take(call, key, again=again)
        if not again:
            workspace.requests.append((call, theirs.copy_of(request)))
        faults.before(fault)
        reply = await self._effect(key, answer, request)
        hold = workspace.holds.get(call)
        if hold is not None:
            hold.reached.set()
            await sandbox_calls.until(hold.released.is_set, 60)
        faults.after(fault)
        return reply

    async def _effect(self, key: str, answer: Answer, request: Any) -> Any:
        """What was answered to this key, or is now; a refusal is not remembered. :raises Refused:"""
        if key not in self._replies:
            found = answer(request)
            self._replies[key] = await found if inspect.isawaitable(found) else found
        return self._replies[key]


def _stream(workspace: Workspace | None, answer: Stream) -> Handler:
    """`workspace` None: a worker's, whose tokens are not looked at."""

    async def handle(_: Any, stream: Any) -> None:
        request = await stream.recv_message()
        try:
            if workspace is not None:
                metadata = stream.metadata
                workspace.authenticate(metadata.get("x-modal-token-id", ""), metadata.get("x-modal-token-secret", ""))
            async for message in answer(request):
                await stream.send_message(message)
        except Refused as refused:
            raise refused.error() from None

    return handle
