"""Microsoft Entra's token endpoint, for applications that trust another issuer ("Workload identity federation")."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs
from uuid import uuid4

from dispatcher.testing.servers.loopback import Silent, serving
from dispatcher.testing.servers.tls import certificate

Form: TypeAlias = Mapping[str, str]

TENANT, CLIENT = "22222222-0000-0000-0000-000000000001", "33333333-0000-0000-0000-000000000001"
AUDIENCE = "api://AzureADTokenExchange"
SCOPE = "https://management.azure.com/.default"
_WANTED = {
    "grant_type": "client_credentials",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "scope": SCOPE,
}


class NoToken(Exception):
    """`code` is one of "Microsoft Entra authentication and authorization error codes"."""

    def __init__(self, status: int, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": error, "error_description": f"AADSTS{code}: {message}", "error_codes": [code],
        }  # fmt: skip


@dataclass(slots=True)
class Entra:
    """`trusted`: whom the application believes, as issuer → subject. `checked` returns the claims of an assertion.

    `authority` and `ca_bundle`: where it is, and whose certificate it shows. `issued`: the access tokens.
    """

    authority: str
    ca_bundle: Path
    trusted: Mapping[str, str]
    checked: Callable[[str], Mapping[str, Any]]
    tenant: str = TENANT
    client_id: str = CLIENT
    is_down: bool = False
    asked: int = 0
    issued: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What leads Azure's credentials here."""
        return {"AZURE_AUTHORITY_HOST": self.authority, "REQUESTS_CA_BUNDLE": str(self.ca_bundle)}

    def answer(self, path: str, form: Form) -> tuple[int, Mapping[str, Any]]:
        self.asked += 1
        try:
            self._check(path, form)
        except NoToken as refused:
            return refused.status, refused.body
        self.issued.append(f"entra-{uuid4()}")
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": self.issued[-1]}

    def _check(self, path: str, form: Form) -> None:
        """:raises NoToken:"""
        if self.is_down:
            raise NoToken(503, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again.")
        if path != f"/{self.tenant}/oauth2/v2.0/token":
            raise NoToken(400, "invalid_request", 90002, f"Tenant '{path.split('/')[1]}' not found.")
        if form.get("client_id") != self.client_id:
            why = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
            raise NoToken(400, "unauthorized_client", 700016, why)
        for name, value in _WANTED.items():
            if form.get(name) != value:
                raise NoToken(400, "invalid_request", 900144, f"'{name}' is {form.get(name)!r}.")
        self._check_assertion(form.get("client_assertion", ""))

    def _check_assertion(self, assertion: str) -> None:
        try:
            claims = self.checked(assertion)
        except ValueError as exc:
            raise NoToken(
                401, "invalid_client", 700027, f"Client assertion failed signature validation: {exc}"
            ) from exc
        found = "No matching federated identity record found for presented assertion"
        if claims["iss"] not in self.trusted:
            raise NoToken(401, "invalid_client", 700211, f"{found} issuer '{claims['iss']}'.")
        if claims["aud"] != AUDIENCE:
            raise NoToken(401, "invalid_client", 700212, f"{found} audience '{claims['aud']}'.")
        if claims["sub"] != self.trusted[claims["iss"]]:
            raise NoToken(401, "invalid_client", 700213, f"{found} subject '{claims['sub']}'.")


@contextmanager
def entra(folder: Path, trusted: Mapping[str, str], checked: Callable[[str], Mapping[str, Any]]) -> Iterator[Entra]:
    """It answers while the block lasts, over https alone. :raises Missing: cryptography is not installed."""
    made: list[Entra] = []

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            status, found = made[0].answer(self.path, form)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    shown = certificate(folder)
    with serving(Handler, tls=shown.context()) as url:
        made.append(Entra(url, shown.file, trusted, checked))
        yield made[0]
