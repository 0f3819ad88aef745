"""Writes the certificate that the providers show to Terraform into the folder that is named, for its ten years.

go-plugin speaks TLS even on a socket of one's own, and is told which certificate to trust; making one takes longer than
to start without.
"""

from __future__ import annotations

import datetime as dt
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

x509: Any = import_module("cryptography.x509")
ec: Any = import_module("cryptography.hazmat.primitives.asymmetric.ec")
hashes: Any = import_module("cryptography.hazmat.primitives.hashes")
serialization: Any = import_module("cryptography.hazmat.primitives.serialization")


def write(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, none = serialization.Encoding, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, none))
    (folder / "certificate.pem").write_bytes(made.public_bytes(encoding.PEM))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
