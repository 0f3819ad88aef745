"""The work of a run, the same on both sides: it says when it starts, lasts as long as it is told, says when it ends.

One file of the standard library, for any interpreter: `python job.py PORT SECONDS`, or `work(port, seconds)`.
"""

import os
import socket
import sys
import time

BUSY_PAUSE = 0.2  # seconds, until a server whose database is busy (503) is asked again


def work(port: int, seconds: float) -> None:
    """Says so to that UDP port of 127.0.0.1."""
    begun = time.time()
    run = os.environ.get("PREFECT__FLOW_RUN_ID") or os.environ["PUSHPOOL_RUN_ID"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as voice:
        voice.sendto(f"{run} start {begun}".encode(), ("127.0.0.1", port))
        time.sleep(seconds)
        voice.sendto(f"{run} end {time.time()}".encode(), ("127.0.0.1", port))


def tell_prefect(api: str, run: str) -> None:
    """Else the run would stay PENDING and keep its slot: an exit code of 0 says nothing to a Prefect worker."""
    host, _, path = api.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    body = '{"state": {"type": "COMPLETED"}}'
    head = f"POST /{path}/flow_runs/{run}/set_state HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    question = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    while b" 503 " in _answer(name, int(port), question):
        time.sleep(BUSY_PAUSE)


def _answer(host: str, port: int, question: bytes) -> bytes:
    """Its first line."""
    with socket.create_connection((host, port)) as line:
        line.sendall(question)
        return line.makefile("rb").readline()


if __name__ == "__main__":
    work(int(sys.argv[1]), float(sys.argv[2]))
    if "PREFECT__FLOW_RUN_ID" in os.environ:
        tell_prefect(os.environ["PREFECT_API_URL"], os.environ["PREFECT__FLOW_RUN_ID"])
