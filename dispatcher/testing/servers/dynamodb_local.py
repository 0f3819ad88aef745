"""DynamoDB Local: AWS's own DynamoDB for one machine, in memory.

Weaker than the service: it never throttles nor conflicts, all of a transaction is visible at once, and it takes
index keys of a wrong type.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dispatcher.testing.servers.processes import JAVA, free_port, installed, listens, serving

# Any will do; it wants some.
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-central-1"}


@contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """Its endpoint while the block lasts; `folder` takes its log. :raises Missing: :raises Broken:"""
    where = installed("dynamodb", file="DynamoDBLocal.jar")
    port = free_port()
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    command = [*JAVA, "-Xmx1g", "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", *options]
    with serving(command, log=folder / "dynamodb.log", is_up=lambda: listens(port), folder=where):
        yield f"http://127.0.0.1:{port}"
