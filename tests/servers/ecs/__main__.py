"""ministack with what it lacks, of ECS above all. Run by ministack's own interpreter, from the checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.servers import alarms
from tests.servers.ecs import policies
from tests.servers.ecs.door import beside
from tests.servers.ecs.service import Service
from tests.servers.ecs.theirs import app, functions


def _run_functions_bare() -> None:
    """Functions see no package but their own: ministack's interpreter would lend them botocore."""
    find = functions._detect_runtime_binary
    bare = Path(sys.prefix) / "functions/bin/python"

    def found(runtime: str) -> tuple[str, str]:
        binary, script = find(runtime)
        return (str(bare) if binary == sys.executable else binary), script

    functions._detect_runtime_binary = found


if __name__ == "__main__":
    _run_functions_bare()
    service = Service(most_seconds=int(os.environ.get("PUSHPOOL_STOP_SECONDS", "30")))
    service.install()
    policies.install()
    alarms.install()
    app.app = beside(app.app, service)
    app.main()
