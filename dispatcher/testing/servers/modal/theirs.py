"""grpclib and Modal's own messages, which the core does not know: whoever asks for them needs the extra `modal`."""

from __future__ import annotations

import random
import string
from functools import cache
from importlib import import_module
from typing import Any

from dispatcher.testing.servers.processes import Missing

_ALPHABET = string.ascii_letters + string.digits
_NEWER = string.digits + "ABCDEFGHJKMNPQRSTVWXYZ"


@cache
def module(name: str) -> Any:
    """:raises Missing: it is not installed."""
    try:
        return import_module(name)
    except ImportError as exc:
        raise Missing(f"{exc.name or name} is not installed: pip install 'pushpool[modal]'") from exc


def api() -> Any:
    """The control plane's messages."""
    return module("modal_proto.api_pb2")


def router() -> Any:
    """The messages of a worker, where a sandbox's output is read."""
    return module("modal_proto.task_command_router_pb2")


def status(name: str) -> Any:
    """A GenericResult's, as in SUCCESS."""
    return getattr(api().GenericResult, f"GENERIC_STATUS_{name}")


def copy_of(message: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made


def new_id(prefix: str) -> str:
    """As in ap-…, with 22 letters and digits; sandboxes of the first version have such ids."""
    return f"{prefix}-{''.join(random.choices(_ALPHABET, k=22))}"  # noqa: S311 # nothing is secured by it


def newer_id(prefix: str, ending: str = "") -> str:
    """By their length clients know sandboxes of the second version, and their tasks by a V at the end."""
    return f"{prefix}-{''.join(random.choices(_NEWER, k=26))}{ending}"  # noqa: S311
