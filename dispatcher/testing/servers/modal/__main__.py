"""`python -m dispatcher.testing.servers.modal --port 8087 --door 8088`: the API by itself, until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from dispatcher.testing.servers.modal.door import door
from dispatcher.testing.servers.modal.serving import modal


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--port", type=int, default=8087)
    asked.add_argument("--door", type=int, default=8088)
    options = asked.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with (
        tempfile.TemporaryDirectory() as folder,
        modal(Path(folder), port=options.port) as api,
        door(api, options.door),
    ):
        sys.stdout.write("".join(f"export {name}={value}\n" for name, value in api.environment().items()))
        sys.stdout.write(f"# image: {api.image}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
