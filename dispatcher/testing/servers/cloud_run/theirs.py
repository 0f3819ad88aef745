"""grpc and Google's own messages, which the core does not know: whoever asks for them needs the extra `gcp`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, TypeAlias

from dispatcher.testing.servers.processes import Missing

Json: TypeAlias = dict[str, Any]


@cache
def module(name: str) -> Any:
    """:raises Missing: it is not installed."""
    try:
        return import_module(name)
    except ImportError as exc:
        raise Missing(f"{exc.name or name} is not installed: pip install 'pushpool[dev]'") from exc


def grpc() -> Any:
    return module("grpc")


def message_type(name: str) -> Any:
    """A class of `google.cloud.run_v2`, as protobuf has it."""
    return getattr(module("google.cloud.run_v2"), name).pb()


def message_of(name: str, value: Json) -> Any:
    """JSON of the REST API as a message; what this version of the protos does not know is left out."""
    return module("google.protobuf.json_format").ParseDict(value, message_type(name)(), ignore_unknown_fields=True)


def json_of(message: Any) -> Json:
    """A message as JSON of the REST API: names in camel case, nothing that has its default."""
    found: Json = module("google.protobuf.json_format").MessageToDict(message)
    return found


def packed(message: Any) -> Any:
    """In a `google.protobuf.Any`, as operations carry it."""
    holder = module("google.protobuf.any_pb2").Any()
    holder.Pack(message)
    return holder
