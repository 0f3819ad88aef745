"""`python -m dispatcher.testing.servers.azure --port 8086`: the API by itself, until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from dispatcher.testing.servers.azure.serving import azure


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--port", type=int, default=8086)
    options = asked.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as folder, azure(Path(folder), port=options.port) as api:
        sys.stdout.write("".join(f"export {name}={value}\n" for name, value in api.environment().items()))
        for name, value in (("resource group", api.resource_group), ("region", api.region), ("image", api.image)):
            sys.stdout.write(f"# {name}: {value}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
