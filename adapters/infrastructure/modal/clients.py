"""Modal's client for this adapter, made when it is first needed: a request needs none.

Importing it takes longer than all else that a pass does, so nothing but a pool of this type does (`service`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from importlib import import_module
from threading import Lock
from typing import Any

from adapters.failures import Failure, Trouble
from adapters.infrastructure.modal.outcomes import RENEWAL, failure_of
from dispatcher.errors import AdapterUnavailable, Misconfigured

CLOSE_SECONDS = 5.0
TOKEN = "modal_token"  # noqa: S105 - the setting's name


class CallFailed(Exception):
    """A call to Modal failed. `what`: which of the things that the job names, if it is one of them."""

    def __init__(self, failure: Failure, what: str = "") -> None:
        super().__init__(str(failure))
        self.failure, self.what = failure, what


class Clients:
    """One client, by the token of the settings or, without one, as Modal's own configuration has it.

    The token is read when the client is made, and anew when Modal has refused it.
    """

    def __init__(self, settings: Mapping[str, str], *, create_seconds: float) -> None:
        self._settings, self._create_seconds = settings, create_seconds
        self._made: Any = None
        self._lock = Lock()

    def call(self, ask: Callable[[Any], Coroutine[Any, Any, Any]], *, seconds: float) -> Any:
        """What `ask` of the service returns.

        :raises CallFailed: whatever Modal or the way there made of it.
        :raises Misconfigured: no token, or one that is none; no client installed.
        :raises Unreachable: the token cannot be read now.
        """
        service = _service()
        try:
            return service.wait_for(self._connection(service).asked(ask), seconds)
        except service.Named as named:
            raise CallFailed(failure_of(named.error), named.what) from named
        except service.ERRORS as error:
            failure = failure_of(error)
            if failure.trouble is Trouble.CREDENTIALS:
                self.close()
            raise CallFailed(failure) from error

    def _connection(self, service: Any) -> Any:
        with self._lock:
            if self._made is None:
                self._made = service.Connection(token_of(self._settings.get(TOKEN)), self._create_seconds)
            return self._made

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            service = _service()
            with suppress(*service.ERRORS):
                service.wait_for(made.close(), CLOSE_SECONDS)


def _service() -> Any:
    """:raises AdapterUnavailable: Modal's client is not installed, or another version of it."""
    try:
        return import_module("adapters.infrastructure.modal.service")  # takes a while
    except ImportError as error:
        raise AdapterUnavailable(f"'modal:push' needs {error.name}: install pushpool's extra `modal`") from error


def token_of(text: str | None) -> tuple[str, str] | None:
    """Id and secret; None if the installation keeps none. :raises Misconfigured: it is no token."""
    if not text:
        return None
    try:
        found = json.loads(text)
        token_id, secret = found["token_id"], found["token_secret"]
    except (ValueError, TypeError, LookupError):
        token_id = secret = None
    if token_id and isinstance(token_id, str) and secret and isinstance(secret, str):
        return token_id, secret
    raise Misconfigured(
        f'the token for Modal is not {{"token_id": "ak-…", "token_secret": "as-…"}} in its secret; {RENEWAL}'
    )
