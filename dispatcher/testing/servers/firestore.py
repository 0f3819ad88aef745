"""Google's Firestore emulator: the API of Firestore for one machine, in memory, as the gcloud command line brings it.

Weaker than the service: it asks for no index, never throttles, takes 4 MiB in one request where the service takes 10,
knows every project and database without their being made, and refuses nobody.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dispatcher.testing.servers.processes import JAVA, Missing, free_port, listens, serving

_JAR = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_USUAL = ("/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "/opt/google-cloud-sdk", "~/google-cloud-sdk")


@contextmanager
def firestore_emulator(folder: Path) -> Iterator[str]:
    """Its address while the block lasts, for FIRESTORE_EMULATOR_HOST; `folder` takes its log.

    :raises Missing: :raises Broken:
    """
    port = free_port()
    # Some languages' digits are not those that it reads.
    command = [*JAVA, "-Xmx512m", "-Duser.language=en", "-cp", str(_jar()), _MAIN, "start"]
    command += ["--host=127.0.0.1", f"--port={port}"]
    with serving(command, log=folder / "firestore.log", is_up=lambda: listens(port)):
        yield f"127.0.0.1:{port}"


def _jar() -> Path:
    if named := os.environ.get("FIRESTORE_EMULATOR_JAR"):
        found = Path(named)
        if found.exists():
            return found
        raise Missing(f"FIRESTORE_EMULATOR_JAR names {named}, which is not there")
    if shutil.which("java") is None:
        raise Missing("the Firestore emulator needs Java, which is not there: install a JRE of 11 or later")
    for root in _roots():
        if (root / _JAR).exists():
            return root / _JAR
    raise Missing(
        "the Firestore emulator is not there: `gcloud components install cloud-firestore-emulator` installs it, "
        "or FIRESTORE_EMULATOR_JAR names it"
    )


def _roots() -> Iterator[Path]:
    """Where a gcloud command line may be installed."""
    if named := os.environ.get("CLOUDSDK_ROOT_DIR"):
        yield Path(named)
    if command := shutil.which("gcloud"):
        yield Path(command).resolve().parents[1]
    yield from (Path(usual).expanduser() for usual in _USUAL)
