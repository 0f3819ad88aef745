"""Telling a deployment's webhooks what became of a run: signed, to public addresses only, without redirects.

The body is JSON; `X-Pushpool-Signature: t=<unix seconds>,v1=<hex>` is HMAC-SHA256 of `<t>.<body>` with the
webhook's secret, as Stripe and others do it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from dispatcher.deployments import Webhook
from dispatcher.errors import InvalidInput, Unreachable
from dispatcher.runs import FlowRun

TIMEOUT_SECONDS = 5.0
# The wire server of Azure and the metadata of Oracle have public addresses; those of the others are link-local.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16"), ipaddress.ip_address("192.0.0.192")})
# All of IPv6 that is given to anybody; what stands for IPv4 (mapped, NAT64) lies outside of it, but for one:
_GIVEN = ipaddress.IPv6Network("2000::/3")
_6TO4 = ipaddress.IPv6Network("2002::/16")


def message(run: FlowRun, on: str, now: datetime) -> dict[str, Any]:
    """What a webhook receives: no parameters, no variables, nothing that may be a secret."""
    return {
        "event": f"flow-run.{on}",
        "at": now.isoformat(),
        "run": {
            "id": run.id,
            "name": run.name,
            "deployment": run.deployment,
            "work_pool": run.pool,
            "work_queue": run.queue,
            "state": run.state.name,
            "message": run.state.message,
            "attempt": run.attempt,
            "scheduled_time": run.scheduled_time.isoformat(),
            "exit_code": run.exit_code,
            "tags": list(run.tags),
        },
    }


def check_url(url: str, *, allow_private: bool) -> None:
    """:raises InvalidInput: a scheme or a host that is never allowed; credentials in it are not quoted."""
    if "@" in re.split(r"[/?#]", url.partition(":")[2].lstrip("/\\"), maxsplit=1)[0]:
        raise InvalidInput("webhook: put no credentials into the address; use `secret`")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise InvalidInput(f"webhook {url!r}: {exc}") from exc
    if parts.scheme not in (("https", "http") if allow_private else ("https",)) or not parts.hostname:
        raise InvalidInput(f"webhook {url!r}: use https://host/…, or allow_private for http inside your network")
    with suppress(ValueError):  # a name is looked up when it is sent to
        if not allow_private and not _is_public(str(ipaddress.ip_address(parts.hostname))):
            raise InvalidInput(f"webhook to {parts.hostname}: not a public address; set allow_private to mean it")


def signature(secret: str, body: bytes, now: datetime) -> str:
    at = int(now.timestamp())
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def send(webhook: Webhook, payload: Mapping[str, Any], now: datetime) -> None:
    """One POST to the one address that was checked. :raises Unreachable: no 2xx answer. :raises InvalidInput:"""
    import httpx  # only when something is sent

    check_url(webhook.url, allow_private=webhook.allow_private)
    try:
        url = httpx.URL(webhook.url)
    except httpx.InvalidURL as exc:
        raise InvalidInput(f"webhook {webhook.url!r}: {exc}") from exc
    host = url.raw_host.decode()
    address = _resolve(host, url.port or (443 if url.scheme == "https" else 80), allow_private=webhook.allow_private)
    body = json.dumps(payload, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "Host": url.netloc.decode(), "User-Agent": "pushpool"}
    if webhook.secret:
        headers["X-Pushpool-Signature"] = signature(webhook.secret, body, now)
    try:
        with (
            httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client,
            # Streamed, so that nothing of the answer but its status is read, however long it is.
            client.stream(
                "POST", url.copy_with(host=address), content=body, headers=headers, extensions={"sni_hostname": host}
            ) as answer,
        ):
            is_success, status = answer.is_success, answer.status_code
    except httpx.HTTPError as exc:
        raise Unreachable(f"webhook to {host}: {type(exc).__name__}") from exc
    if not is_success:
        raise Unreachable(f"webhook to {host}: answered {status}")


def _resolve(host: str, port: int, *, allow_private: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Unreachable(f"webhook to {host}: no such host") from exc
    addresses = [str(item[4][0]) for item in found]
    if not allow_private and (bad := [a for a in addresses if not _is_public(a)]):
        raise InvalidInput(f"webhook to {host}: {bad[0]} is not a public address; set allow_private to mean it")
    return addresses[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _GIVEN or ip in _6TO4):
        return False
    return ip.is_global and not ip.is_multicast and ip not in _METADATA
