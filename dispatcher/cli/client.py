"""The API as the commands call it: over HTTP, or the same routes in this process when no URL is set."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx

from dispatcher import settings as environment
from dispatcher.errors import PushpoolError
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from dispatcher.context import Context

Json = dict[str, Any]
TRIES = 4  # where the API says that it is busy
LONGEST_WAIT_SECONDS = 2.0
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class Refused(PushpoolError):
    """The API's problem details, as one line; `errors` are its paths and reasons."""

    def __init__(self, status: int, detail: str, errors: tuple[Json, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors


class NoAnswer(PushpoolError):
    """Nobody answers there, or nobody who speaks this API."""


@dataclass(frozen=True, slots=True)
class Api:
    """Paths are those of the route table, without `/v1`; names in them are quoted here."""

    http: httpx.Client
    where: str
    key_hint: str
    context: Context | None = None  # of the routes in this process

    def get(self, *path: str, **query: Any) -> Json:
        return self._json("GET", path, query=query)

    def put(self, *path: str, body: Mapping[str, Any]) -> Json:
        return self._json("PUT", path, body=body)

    def post(self, *path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Json:
        return self._json("POST", path, body=body, query=query)

    def delete(self, *path: str, **query: Any) -> Json:
        """What is left of it to say; empty if it is gone."""
        answer = self._send("DELETE", path, query=query)
        return _parsed(answer) if answer.content else {}

    def find(self, *path: str) -> Json | None:
        """None if there is no such thing."""
        try:
            return self.get(*path)
        except Refused as exc:
            if exc.status == 404:
                return None
            raise

    def every(self, *path: str, **query: Any) -> Iterator[Json]:
        """All items, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(*path, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def close(self) -> None:
        self.http.close()

    def _json(self, method: str, path: tuple[str, ...], **sent: Any) -> Json:
        answer = self._send(method, path, **sent)
        try:
            return _parsed(answer)
        except (ValueError, TypeError) as exc:
            raise self._not_ours(answer) from exc

    def _send(
        self, method: str, path: tuple[str, ...], *, query: Json | None = None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        url = "/v1/" + "/".join(quote(part, safe="") for part in path)
        params = {key: _text(value) for key, value in (query or {}).items() if value not in (None, [], ())}
        answer = self._once(method, url, params, body)
        for _ in range(TRIES - 1):
            if not _may_repeat(method, answer):
                break
            time.sleep(_wait_seconds(answer))
            answer = self._once(method, url, params, body)
        if answer.is_success:
            return answer
        raise self._problem(answer)

    def _once(self, method: str, url: str, params: Mapping[str, Any], body: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return self.http.request(method, url, params=params, json=body)
        except httpx.ConnectError as exc:
            raise NoAnswer(f"{self.where} cannot be reached ({exc}); is `pushpool serve` running?") from exc
        except httpx.TimeoutException as exc:
            raise NoAnswer(f"{self.where} did not answer in time; is `pushpool serve` running?") from exc
        except httpx.HTTPError as exc:
            raise NoAnswer(f"{self.where}: {exc}; is that the address of a pushpool API?") from exc

    def _problem(self, answer: httpx.Response) -> PushpoolError:
        try:
            problem = _parsed(answer)
            detail = str(problem["detail"])
        except (ValueError, TypeError, KeyError):
            return self._not_ours(answer)
        hint = f"; {self.key_hint}" if answer.status_code == 401 else ""
        return Refused(answer.status_code, f"{detail}{hint}", tuple(problem.get("errors", ())))

    def _not_ours(self, answer: httpx.Response) -> NoAnswer:
        said = f"answered {answer.status_code} {answer.reason_phrase}".rstrip()
        return NoAnswer(f"{self.where} {said}, not as a pushpool API does; check the URL")


def connect(url: str | None = None) -> Api:
    """To `url`, else PUSHPOOL_API_URL, else in this process. :raises PushpoolError: neither can be had."""
    settings = environment.read()
    if url is not None:
        settings = replace(settings, api_url=url.rstrip("/"))
    return _remote(settings, settings.api_url) if settings.api_url is not None else _here(settings)


def _remote(settings: Settings, url: str) -> Api:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoAnswer(f"the API's URL is {url!r}; it must be like https://host or http://127.0.0.1:4280")
    key = settings.api_key
    file = settings.home / "api-key"
    if key is None and url == settings.local_url and file.is_file():
        key = file.read_text().strip()
    hint = (
        "check PUSHPOOL_API_KEY" if settings.api_key else "set PUSHPOOL_API_KEY (`pushpool api-key create` makes one)"
    )
    http = httpx.Client(base_url=url.removesuffix("/v1"), headers=_bearer(key), timeout=TIMEOUT)
    return Api(http, url, hint)


def _here(settings: Settings) -> Api:
    """The store is opened at once, so that what is wrong with it is told as it is.

    Whoever can open it may do everything, unless a key is set.
    """
    from dispatcher import wiring
    from dispatcher.http.api import Api as Routes
    from dispatcher.http.wsgi import application
    from dispatcher.logs import log

    log.addHandler(logging.NullHandler())  # what goes wrong is told by the answer
    context = wiring.visiting(settings)
    transport = httpx.WSGITransport(app=application(Routes(context, is_trusted=settings.api_key is None)))
    http = httpx.Client(base_url="http://in-process", headers=_bearer(settings.api_key), transport=transport)
    return Api(http, settings.store, "the key comes from PUSHPOOL_API_KEY; without it none is needed", context)


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _parsed(answer: httpx.Response) -> Json:
    parsed = answer.json()
    if not isinstance(parsed, dict):
        raise TypeError("an object was expected")
    return parsed


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _may_repeat(method: str, answer: httpx.Response) -> bool:
    """After a 503 nobody knows what a POST has done."""
    return answer.status_code == 429 or (answer.status_code == 503 and method != "POST")


def _wait_seconds(answer: httpx.Response) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(float(said), LONGEST_WAIT_SECONDS) if said.isdecimal() else 0.5
