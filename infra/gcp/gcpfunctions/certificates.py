"""The certificates with which Google signs identity tokens, kept as long as they are good."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from threading import Lock

from google.auth import exceptions

from dispatcher.errors import Misconfigured, Unreachable

# X.509 and not the key set of .../v3/certs: for that google-auth wants PyJWT.
GOOGLE = "https://www.googleapis.com/oauth2/v1/certs"
FETCH_SECONDS = 5
# An unknown key may be a new one, or somebody's nonsense: Google is asked no more often than this.
PATIENCE_SECONDS = 60.0


class Certificates:
    """By key id, as `url` serves them. Several threads may ask."""

    def __init__(self, url: str, *, now: Callable[[], float] = time.time) -> None:
        if not url.startswith(("https://", "http://127.0.0.1:")):
            raise Misconfigured(f"PUSHPOOL_OIDC_CERTS_URL is {url!r}; it must be https://…")
        self._url, self._now = url, now
        self._guard = Lock()
        self._kept: Mapping[str, str] = {}
        self._asked_at = self._good_until = float("-inf")

    def of(self, key_id: object) -> Mapping[str, str]:
        """All that are good now; fetched anew once they are old, or to look for one that is not among them.

        :raises Unreachable: they cannot be had.
        """
        with self._guard:
            now = self._now()
            is_unknown = key_id not in self._kept and now >= self._asked_at + PATIENCE_SECONDS
            if now >= self._good_until or is_unknown:
                self._asked_at = now  # also if it fails, so that nonsense does not keep the others waiting
                self._kept, lifetime = self._fetch()
                self._good_until = now + lifetime
            return self._kept

    def _fetch(self) -> tuple[Mapping[str, str], float]:
        from google.auth.transport.requests import Request

        try:
            answer = Request()(self._url, method="GET", timeout=FETCH_SECONDS)
        except exceptions.TransportError as exc:
            raise Unreachable(f"the certificates of {self._url} cannot be had: {exc}") from exc
        if answer.status != 200:
            raise Unreachable(f"the certificates of {self._url} cannot be had: it answers {answer.status}")
        return _read(self._url, answer.data), _lifetime(answer.headers)


def _read(url: str, text: bytes) -> Mapping[str, str]:
    import json

    try:
        found = json.loads(text)
    except ValueError as exc:
        raise Unreachable(f"the certificates of {url} cannot be read: {exc}") from exc
    if not isinstance(found, dict) or "keys" in found:
        raise Unreachable(f"the certificates of {url} cannot be read: wanted are X.509 ones by key id")
    return found


def _lifetime(headers: Mapping[str, str]) -> float:
    """What is left of `max-age`, as a cache on the way counts it; nothing if that is not said."""
    said = {name.lower(): value for name, value in headers.items()}
    age = re.search(r"max-age=(\d{1,9})", said.get("cache-control", ""))
    passed = said.get("age", "0")
    return max(0.0, float(age[1]) - float(passed if passed.isdecimal() else "0")) if age else 0.0
