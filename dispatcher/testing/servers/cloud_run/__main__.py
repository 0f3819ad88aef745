"""`python -m dispatcher.testing.servers.cloud_run --port 8085`: the API by itself, until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from dispatcher.testing.servers.cloud_run.serving import cloud_run


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--port", type=int, default=8085)
    asked.add_argument("--project", default="pushpool-test")
    options = asked.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as folder, cloud_run(Path(folder), port=options.port, id=options.project) as api:
        sys.stdout.write("".join(f"export {name}={value}\n" for name, value in api.environment.items()))
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
