"""Who makes the identity tokens of Google's services: its key signs them, and its certificate is served on loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import uuid4

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.loopback import Silent, serving

ISSUER = "https://accounts.google.com"


class Key:
    """An RSA key, and the certificate by which it is known."""

    def __init__(self) -> None:
        rsa = theirs.module("cryptography.hazmat.primitives.asymmetric.rsa")
        serialization = theirs.module("cryptography.hazmat.primitives.serialization")
        self.id = uuid4().hex
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pem = key.private_bytes(serialization.Encoding.PEM, *form)
        self.signer = theirs.module("google.auth.crypt").RSASigner.from_string(pem, self.id)
        self.certificate: str = _certificate(key).public_bytes(serialization.Encoding.PEM).decode()

    def signed(self, claims: dict[str, Any], *, key_id: str = "") -> str:
        token: bytes = theirs.module("google.auth.jwt").encode(self.signer, claims, key_id=key_id or self.id)
        return token.decode()


def _certificate(key: Any) -> Any:
    x509 = theirs.module("cryptography.x509")
    hashes = theirs.module("cryptography.hazmat.primitives.hashes")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=16))
    return made.sign(key, hashes.SHA256())


class Issuer:
    """Its tokens are like Google's in all but the key. `fetches` counts who asked for the certificates.

    `max_age`: how long they may be kept, as the answer says. `is_broken`: it answers 500.
    """

    def __init__(self, certs_url: str) -> None:
        self.certs_url = certs_url
        self.max_age, self.is_broken, self.fetches = 3600, False, 0
        self._key = Key()

    def token(self, *, audience: str, email: str, seconds: float = 3600, **claims: Any) -> str:
        """Good for so many seconds from now; `claims` are put in place of its own."""
        now = int(time.time())
        own = {"iss": ISSUER, "aud": audience, "azp": "1", "sub": "1", "email": email, "email_verified": True}
        times = {"iat": min(now, int(now + seconds) - 1), "exp": int(now + seconds)}
        return self._key.signed({**own, **times, **claims})

    def forged(self, *, audience: str, email: str) -> str:
        """Signed by a key of somebody else's, which says that it is this one."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "email": email, "email_verified": True, "iat": now, "exp": now + 3600}
        return Key().signed(claims, key_id=self._key.id)

    def rotate(self) -> None:
        """From now on it signs with a new key, and serves that one's certificate alone."""
        self._key = Key()

    def certificates(self) -> dict[str, str]:
        self.fetches += 1
        return {self._key.id: self._key.certificate}


@contextmanager
def issuer() -> Iterator[Issuer]:
    """It serves while the block lasts. :raises Missing:"""
    made: list[Issuer] = []

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(made[0].certificates()).encode()
            self.send_response(500 if made[0].is_broken else 200)
            self.send_header("Cache-Control", f"public, max-age={made[0].max_age}, must-revalidate")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as url:
        made.append(Issuer(f"{url}/oauth2/v1/certs"))
        yield made[0]
