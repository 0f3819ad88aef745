"""A certificate for 127.0.0.1, for what is asked over https alone; whoever asks is told to trust it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from dispatcher.testing.servers.cloud_run.theirs import module


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM. `REQUESTS_CA_BUNDLE` or the like leads clients to `file`."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """For a server."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.file, self.key)
        return made


def certificate(folder: Path) -> Certificate:
    """A new one, in that folder; good for a day. :raises Missing: cryptography is not installed."""
    x509, serialization = module("cryptography.x509"), module("cryptography.hazmat.primitives.serialization")
    ec = module("cryptography.hazmat.primitives.asymmetric.ec")
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, module("cryptography.hazmat.primitives.hashes").SHA256())
    )
    files = Certificate(folder / "certificate.pem", folder / "key.pem")
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return files
