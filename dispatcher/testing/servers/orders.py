"""What is asked of a server's own side door: JSON there and back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


class Declined(Exception):
    """The side door does not take this order; the message says why."""


def order(url: str, body: Any = None, *, method: str = "POST") -> Any:
    """:raises Declined:"""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310 # our own servers
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            raise Declined(f"{method} {url}: {exc.code} {exc.read().decode(errors='replace')}") from None
