"""What the stand-ins of Azure and Modal print when they run by themselves: all that a pool needs to know of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

AZURE, MODAL = "dispatcher.testing.servers.azure", "dispatcher.testing.servers.modal"


@pytest.mark.parametrize(
    ("module", "options", "told"),
    [
        (
            AZURE,
            ("--port", "0"),
            [
                "export PUSHPOOL_AZURE_EMULATOR=127.0.0.1:",
                "export AZURE_SUBSCRIPTION_ID=",
                "# resource group: pushpool",
                "# region: westeurope",
                "# image: pushpool-test/python:1",
            ],
        ),
        (
            MODAL,
            ("--port", "0", "--door", "0"),
            [
                "export MODAL_SERVER_URL=http://127.0.0.1:",
                "export MODAL_TOKEN_ID=",
                "export MODAL_TOKEN_SECRET=",
                "export MODAL_CONFIG_PATH=",
                "# image: pushpool-test/python:1",
            ],
        ),
    ],
    ids=["azure", "modal"],
)
def test_it_prints_what_a_pool_needs(module: str, options: tuple[str, ...], told: list[str]) -> None:
    command = [sys.executable, "-m", module, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        first = running.stdout.readline()  # all of it is written at once
        running.terminate()
        lines = [first, *running.stdout]

    assert [line.startswith(begun) for line, begun in zip(lines, told, strict=True)] == [True] * len(told), lines
    assert running.returncode == 0
