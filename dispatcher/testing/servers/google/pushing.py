"""A log sink to a Pub/Sub topic with a push subscription: entries of the audit log become requests to a function."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from dispatcher.testing.servers.google.courier import Courier, Parcel
from dispatcher.testing.servers.google.issuer import Issuer

Json = dict[str, Any]


def is_ours(entry: Mapping[str, Any]) -> bool:
    """What the sink's filter lets through: system events of Cloud Run jobs that carry our label."""
    response = entry.get("protoPayload", {}).get("response", {})
    labels = response.get("metadata", {}).get("labels", {})
    is_system = str(entry.get("logName", "")).endswith("%2Fsystem_event")
    return is_system and labels.get("managed-by") == "pushpool"


class PushSubscription:
    """Pushes each entry to `url`, as "Receive push messages" has it, with an identity token for `audience`."""

    def __init__(
        self,
        issuer: Issuer,
        url: str,
        *,
        audience: str,
        email: str,
        most_tries: int = 5,
        keep: Callable[[Mapping[str, Any]], bool] = is_ours,
    ) -> None:
        self.courier = Courier()
        self._issuer, self._url, self._audience, self._email = issuer, url, audience, email
        self._most_tries, self._keep = most_tries, keep

    def hear(self, entry: Mapping[str, Any]) -> None:
        """Of the log; returns before it is pushed."""
        if self._keep(entry):
            self.push(json.dumps(entry).encode())

    def push(self, data: bytes) -> str:
        """Publish a message; its id."""
        message_id = uuid4().hex[:16]
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": message_id,
            "publishTime": "2026-01-01T00:00:00Z",
        }
        body: Json = {"message": {**message, "attributes": {}}, "subscription": "projects/p/subscriptions/pushpool"}
        self.courier.bring(
            Parcel(message_id, self._url, json.dumps(body).encode(), self._headers, "POST", self._most_tries)
        )
        return message_id

    def _headers(self, number: int) -> Mapping[str, str]:  # noqa: ARG002 - each try has a new token
        token = self._issuer.token(audience=self._audience, email=self._email)
        return {
            "Content-Type": "application/json",
            "User-Agent": "CloudPubSub-Google",
            "Authorization": f"Bearer {token}",
        }
