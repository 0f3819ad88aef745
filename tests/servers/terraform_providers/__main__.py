"""Serves one provider to the Terraform that started it: `python -m tests.servers.terraform_providers google`."""

from __future__ import annotations

import re
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any

from tests.servers.terraform_providers.protocol import message
from tests.servers.terraform_providers.provider import Provider

grpc: Any = import_module("grpc")

# Each is answered by the provider's method of that name, in Python's spelling; without one, by an empty message.
_CALLS = [
    "GetProviderSchema", "ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig",
    "ValidateEphemeralResourceConfig", "UpgradeResourceState", "ConfigureProvider", "ReadResource",
    "PlanResourceChange", "ApplyResourceChange", "ReadDataSource", "OpenEphemeralResource", "CloseEphemeralResource",
    "StopProvider",
]  # fmt: skip


def _handlers(provider: Provider) -> Any:
    def handler(call: str) -> Any:
        spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", call).lower()
        answer: Any = getattr(provider, spelled, lambda _: message(f"{call}.Response")())
        return grpc.unary_unary_rpc_method_handler(
            lambda request, _: answer(request),
            request_deserializer=message(f"{call}.Request").FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )

    return grpc.method_handlers_generic_handler("tfplugin6.Provider", {call: handler(call) for call in _CALLS})


def _plugin(stopped: Event) -> tuple[Any, Any]:
    """What go-plugin itself asks of every plugin: to be stopped, and for its output."""

    def stop(*_: object) -> bytes:
        stopped.set()
        return b""

    def output(*_: object) -> Any:
        stopped.wait()
        yield from ()

    return (
        grpc.method_handlers_generic_handler(
            "plugin.GRPCController", {"Shutdown": grpc.unary_unary_rpc_method_handler(stop)}
        ),
        grpc.method_handlers_generic_handler(
            "plugin.GRPCStdio", {"StreamStdio": grpc.unary_stream_rpc_method_handler(output)}
        ),
    )


def _certificate() -> tuple[bytes, Any]:
    """What go-plugin is told on standard output, and the credentials that go with it."""
    certificate, key = (Path(sys.prefix, name).read_bytes() for name in ("certificate.pem", "key.pem"))
    body = b"".join(line for line in certificate.splitlines() if not line.startswith(b"-----"))
    return body.rstrip(b"="), grpc.ssl_server_credentials([(key, certificate)])


def main(name: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Terraform asks to stop by itself
    stopped = Event()
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((_handlers(Provider(name)), *_plugin(stopped)))
    certificate, credentials = _certificate()
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/provider.sock"
        server.add_secure_port(f"unix:{address}", credentials)
        server.start()
        sys.stdout.write(f"1|6|unix|{address}|grpc|{certificate.decode()}\n")
        sys.stdout.flush()
        stopped.wait()
        server.stop(grace=0.2).wait()


if __name__ == "__main__":
    main(sys.argv[1])
