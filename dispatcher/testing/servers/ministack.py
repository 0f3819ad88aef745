"""ministack: one AWS account and region in one process, in memory, everything on one port of 127.0.0.1.

Its Lambda functions are processes with an interpreter that has the standard library alone, so that what a deployment
package lacks is missed. With an engine (`engine.py`) its ECS tasks are containers. What it lacks of ECS is added in
its own process by `tests/servers/ecs`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from dispatcher.testing.servers.processes import Missing, free_port, installed, serving

ACCOUNT = "123456789012"
REGION = "eu-central-1"
# Any will do; it wants some.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

_CHECKOUT = Path(__file__).parents[3]


@contextmanager
def ministack(
    folder: Path, *, docker_host: str | None = None, port: int | None = None, options: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Its endpoint while the block lasts; `folder` takes its log and its functions' code.

    `port`: a free one. Without `docker_host`, RunTask starts nothing and its tasks stay RUNNING. `options`: variables
    of its own, such as AUTH=true (policies are enforced; CREDENTIALS are then its root's), AWS_ENDPOINT_URL (where its
    functions find it), and PUSHPOOL_STOP_SECONDS, the longest that a container may take to stop (3).

    :raises Missing: :raises Broken:
    """
    python = installed("ministack", file="bin/python") / "bin/python"
    if not (_CHECKOUT / "tests/servers/ecs").is_dir():
        raise Missing(f"{_CHECKOUT / 'tests/servers/ecs'} is not there: the emulator needs a checkout, not a wheel")
    port = port or free_port()
    command = [str(python), "-m", "tests.servers.ecs"]
    environment = {**_environment(folder, port, docker_host), **(options or {})}
    log = folder / "ministack.log"
    with serving(command, log=log, is_up=lambda: _ready(port), environment=environment, folder=_CHECKOUT):
        yield f"http://127.0.0.1:{port}"


def client_environment(endpoint: str) -> dict[str, str]:
    """What boto3, Terraform and whoever else needs to find it."""
    return {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, **CREDENTIALS}


def _environment(folder: Path, port: int, docker_host: str | None) -> Mapping[str, str]:
    """All that it sees: each of its functions inherits this, so nothing of the shell's may be in it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        **CREDENTIALS,
        # It would bind every interface, and open ports for MQTT and SFTP.
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        # It removes containers that it takes for its own: never let it find the machine's engine.
        "DOCKER_HOST": docker_host or f"unix://{folder / 'no-engine.sock'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PUSHPOOL_STOP_SECONDS": "3",
    }


def _ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
