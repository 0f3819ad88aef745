"""What is asked of Modal, call by call, in the event loop of its client. With `images` the only one that imports it.

Modal's protocol is private and changes between releases, so the client is pinned. Three of its habits do not do here,
and for them its inner parts are used:

* It repeats a request that got no answer, three times, under a random `x-idempotency-key`. A sandbox's name is free
  again as soon as it ends, so nothing but that key would keep a repeat from starting a second one. A create is sent
  once, with a deadline that Modal is told; and its key is the same for a submission, whoever sends it.
* `Sandbox.create` with a GPU waits up to 21 minutes for one, and terminates the sandbox if nobody waits any longer.
  Here it returns as soon as Modal has taken it; whoever looks later sees that it still waits.
* `Sandbox.from_name(include_terminated=True)` finds only sandboxes without a GPU. One with a GPU is looked for by its
  name while it runs, and by its tags after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

from grpclib import GRPCError
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from h2.exceptions import ProtocolError as H2ProtocolError
from modal._environments import _Environment
from modal._utils.async_utils import synchronizer
from modal.app import _App
from modal.client import _Client
from modal.config import config
from modal.exception import Error, ExecutionError, NotFoundError, PermissionDeniedError
from modal.sandbox._common import SandboxCreateArgs, SandboxImpl, tag_protos
from modal.sandbox._impl_v1 import SandboxImplV1
from modal.sandbox._impl_v2 import SandboxImplV2
from modal.sandbox._sandbox import _Sandbox, impl_class_for_sandbox_id
from modal.secret import _Secret
from modal.volume import _Volume
from modal_proto import api_pb2

from adapters.infrastructure.modal.images import image_of
from adapters.infrastructure.modal.sandboxes import State

# What can come out of a call; a tuple, as `except` wants it.
ERRORS = (Error, GRPCError, StreamTerminatedError, ProtocolError, H2ProtocolError, OSError, asyncio.TimeoutError)

CREATES = ("SandboxCreate", "SandboxCreateV2")
PAGES_AT_MOST = 4  # of the newest sandboxes, in which times are looked for
LOG_ENTRIES, TAIL_SECONDS, TAILS_AT_MOST = 100, 3.0, 8

T = TypeVar("T")
Json = Mapping[str, Any]
Result = api_pb2.GenericResult


async def _within(call: Awaitable[T], seconds: float) -> T:
    return await asyncio.wait_for(call, seconds)


# Waits for the event loop of Modal's client, which has a thread of its own.
_waited_for: Any = synchronizer.create_blocking(_within)


def wait_for(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """What the call returns. Raises of `ERRORS`; a call that takes longer is given up, and its request cancelled."""
    found: T = _waited_for(call, seconds)
    return found


def once(create: Any, seconds: float) -> Any:
    """The call that creates a sandbox, sent once and under a key that is made of the sandbox's name."""

    async def sent(request: Any, *, metadata: Sequence[tuple[str, str]] = ()) -> Any:
        key = str(uuid5(NAMESPACE_OID, f"{request.app_id}/{request.definition.name}"))
        return await create(request, retry=None, timeout=seconds, metadata=[("x-idempotency-key", key), *metadata])

    return sent


class Unscheduled(SandboxImplV1):
    """Created without waiting for a place to run."""

    async def get_task_id(self, *args: Any, **how: Any) -> str:
        del args, how
        return self._task_id or ""


@dataclass(frozen=True, slots=True)
class Started:
    """A sandbox and its app, by their ids."""

    sandbox_id: str
    app_id: str


@dataclass(frozen=True, slots=True)
class Ready:
    """What a sandbox is made of; its image may have to be built."""

    app: _App
    arguments: SandboxCreateArgs = field(repr=False)  # with the run's token


class Named(Exception):
    """Something that the job names is not there, or may not be seen: `what` it is, and Modal's words."""

    def __init__(self, what: str, error: Error) -> None:
        super().__init__(what)
        self.what, self.error = what, error


class Connection:
    """Modal by one token, or as the environment and Modal's own configuration file have it; made by the first call."""

    def __init__(self, token: tuple[str, str] | None, create_seconds: float) -> None:
        self._token, self._create_seconds = token, create_seconds
        self._made: _Client | None = None
        self._making = asyncio.Lock()

    async def asked(self, ask: Callable[[Service], Awaitable[T]]) -> T:
        """What `ask` of the service returns; its time is the connection's too."""
        async with self._making:
            if self._made is None:
                self._made = await self._connected()
            service = Service(self._made)
        return await ask(service)

    async def _connected(self) -> _Client:
        token_id, secret = self._token or (config.get("token_id"), config.get("token_secret"))
        if token_id and secret:
            made = _Client(config["server_url"], api_pb2.CLIENT_TYPE_CLIENT, (token_id, secret))
            await _opened(made)
        else:  # it knows further ways to configure it, and says what is missing
            made = await _Client.from_env()
        stub = made._stub  # noqa: SLF001
        for call in CREATES:
            setattr(stub, call, once(getattr(stub, call), self._create_seconds))
        return made

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.close()


async def _opened(client: _Client) -> None:
    try:
        await client._open()  # type: ignore[no-untyped-call] # noqa: SLF001
    except BaseException:
        await client.close()  # or it goes on connecting for a minute
        raise


class Service:
    """The calls."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    async def greet(self) -> None:
        """Whether the token is good."""
        await self._client.hello()  # type: ignore[no-untyped-call]  # it takes nothing

    async def check_environment(self, environment: str) -> None:
        """Whether there is one of that name."""
        await _Environment.from_name(environment, client=self._client).hydrate()

    async def app_id(self, app: str, environment: str, *, create: bool = False) -> str:
        return str((await self._app(app, environment, create=create)).app_id)

    async def find(
        self, app: str, environment: str, name: str, tags: Mapping[str, str], *, gpu: bool
    ) -> Started | None:
        """The sandbox of that name, running or ended."""
        look = self._named_with_gpu(app, environment, name, tags) if gpu else self._named(app, environment, name)
        try:
            return await look
        except NotFoundError:
            return None

    async def _named(self, app: str, environment: str, name: str, *, ended: bool = True) -> Started:
        found = await _Sandbox.from_name(
            app, name, environment_name=environment or None, include_terminated=ended, client=self._client
        )
        return Started(found.object_id, found._app_id or "")  # noqa: SLF001

    async def _named_with_gpu(self, app: str, environment: str, name: str, tags: Mapping[str, str]) -> Started | None:
        try:
            return await self._named(app, environment, name, ended=False)
        except NotFoundError:
            app_id = await self.app_id(app, environment)
        page = await self._page(app_id, tags)
        return Started(page[0].id, app_id) if page else None

    async def ready(self, body: Json, app: str, environment: str) -> Ready:
        """All that a sandbox of it needs but its image, which is not built yet. Raises `Named`."""
        found = await self._app(app, environment, create=True)
        image, network, named = body["image"], body.get("network", {}), partial(self._object, environment=environment)
        secrets = [named(_Secret, name) for name in body.get("secrets", ())]
        volumes = [named(_Volume, name) for name in body.get("volumes", {}).values()]
        credentials = [named(_Secret, image["secret"])] if "secret" in image else []
        objects = await asyncio.gather(*secrets, *volumes, *credentials)
        first, second = len(secrets), len(secrets) + len(volumes)
        arguments = SandboxCreateArgs(
            args=body["command"],
            name=body["name"],
            image=image_of(image, objects[-1] if credentials else None),
            env=dict(body["env"]),
            secrets=objects[:first],
            volumes=dict(zip(body.get("volumes", {}), objects[first:second], strict=True)),
            timeout=body["timeout"],
            cpu=_size(body.get("cpu")),
            memory=_size(body.get("memory")),
            gpu=body.get("gpu"),
            region=body.get("region"),
            cloud=body.get("cloud"),
            tags=body["tags"],
            include_oidc_identity_token=body.get("identity_token", False),
            block_network=network.get("block_network", False),
            outbound_cidr_allowlist=network.get("outbound_cidr_allowlist"),
            outbound_domain_allowlist=network.get("outbound_domain_allowlist"),
        )
        return Ready(found, arguments)

    async def build(self, ready: Ready) -> None:
        """Its image, unless Modal has it. One that takes longer than the call is built on at Modal."""
        assert ready.arguments.image is not None
        await ready.arguments.image.build(ready.app)

    async def start(self, ready: Ready) -> Started:
        """One request, which is not repeated."""
        kind: type[SandboxImpl] = Unscheduled if ready.arguments.gpu else SandboxImplV2
        made, _ = await kind.create(ready.arguments, app=ready.app, client=self._client)
        return Started(made.sandbox_id, str(ready.app.app_id))

    async def check(self, kind: str, name: str, environment: str) -> None:
        """Whether there is a secret or volume of that name."""
        await self._object(_Secret if kind == "secret" else _Volume, name, environment)

    async def states(self, handles: Sequence[str]) -> dict[str, State | None]:
        """None: Modal knows no such sandbox. One that got no answer is left out. Raises of `ERRORS` if all are."""
        apps: set[str] = set()
        asked = (self._state(each, apps) for each in handles)
        answers = dict(zip(handles, await asyncio.gather(*asked, return_exceptions=True), strict=True))
        found = {handle: state for handle, state in answers.items() if not isinstance(state, BaseException)}
        for trouble in answers.values():
            if isinstance(trouble, BaseException) and not (found and isinstance(trouble, ERRORS)):
                raise trouble
        ended = {each.handle: each for each in found.values() if each is not None and each.status}
        if ended:
            times = await self._times(apps, set(ended))
            tails = await asyncio.gather(*(self._tail(each) for each in list(ended.values())[:TAILS_AT_MOST]))
            tail_of = dict(zip(ended, tails, strict=False))
            for handle, state in ended.items():
                started, finished = times.get(handle, (0.0, 0.0))
                found[handle] = replace(state, started=started, ended=finished, log_tail=tail_of.get(handle, ""))
        return found

    async def _state(self, handle: str, apps: set[str]) -> State | None:
        kind = impl_class_for_sandbox_id(handle)
        try:
            answer = await kind.lookup_by_id(self._client, handle)
        except NotFoundError:
            return None
        if answer.metadata.app_id:
            apps.add(answer.metadata.app_id)
        result = answer.result
        if result.status == Result.GENERIC_STATUS_UNSPECIFIED:
            return State(handle, scheduled=await self._is_scheduled(kind(self._client, handle)))
        return State(handle, _status(result.status), result.exitcode, result.exception)

    async def _is_scheduled(self, sandbox: SandboxImpl) -> bool:
        try:
            return bool(await sandbox.resolve_task_id_for_logs())
        except ExecutionError:
            return False

    async def _times(self, apps: set[str], handles: set[str]) -> dict[str, tuple[float, float]]:
        """When each was started and ended, as far as the newest of their apps' sandboxes tell."""
        found: dict[str, tuple[float, float]] = {}
        with suppress(*ERRORS):
            for app in apps:
                before = 0.0
                for _ in range(PAGES_AT_MOST):
                    page = await self._page(app, before=before)
                    found |= {each.id: (each.task_info.started_at, each.task_info.finished_at) for each in page}
                    if not page or handles <= found.keys():
                        break
                    before = page[-1].created_at
        return found

    async def _page(
        self, app_id: str, tags: Mapping[str, str] | None = None, before: float = 0.0
    ) -> Sequence[api_pb2.SandboxInfo]:
        """The newest first, with and without a GPU, running and ended."""
        request = api_pb2.SandboxListRequest(
            app_id=app_id, include_finished=True, before_timestamp=before, tags=tag_protos(tags)
        )
        return list((await SandboxImplV2.list_page(self._client, request)).sandboxes)

    async def _tail(self, state: State) -> str:
        """The last lines of one that did not succeed; "" if they cannot be had at once."""
        if state.status == "SUCCESS":
            return ""
        with suppress(*ERRORS):
            return await asyncio.wait_for(self.log(state.handle), TAIL_SECONDS)
        return ""

    async def log(self, handle: str) -> str:
        sandbox = await _Sandbox.from_id(handle, client=self._client)
        return "".join([entry.message async for entry in sandbox.logs.tail(LOG_ENTRIES)])

    async def terminate(self, handle: str) -> None:
        """One that has ended or never was is no error."""
        with suppress(NotFoundError):
            await impl_class_for_sandbox_id(handle)(self._client, handle).terminate()

    async def _app(self, app: str, environment: str, *, create: bool) -> _App:
        return await _App.lookup(
            app, client=self._client, environment_name=environment or None, create_if_missing=create
        )

    async def _object(self, kind: type[_Secret | _Volume], name: str, environment: str) -> Any:
        found = kind.from_name(name, environment_name=environment or None, client=self._client)
        try:
            return await found.hydrate()
        except (NotFoundError, PermissionDeniedError) as error:
            raise Named(f"{kind.__name__.strip('_').lower()} {name!r}", error) from error


def _size(pair: Sequence[Any] | None) -> Any:
    """What is reserved, or that and the limit, as the client takes it."""
    return None if not pair else pair[0] if len(pair) == 1 else tuple(pair)


def _status(status: Result.GenericStatus.ValueType) -> str:
    """`TIMEOUT` for GENERIC_STATUS_TIMEOUT."""
    try:
        name: str = Result.GenericStatus.Name(status)
    except ValueError:
        return str(status)
    return name.removeprefix("GENERIC_STATUS_")
