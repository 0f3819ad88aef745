"""What every test relies on: no setting leaks in from the shell, and no test is timed."""

import os

import pytest
from hypothesis import settings

# What the shipped suites assert is shown as what a test asserts.
pytest.register_assert_rewrite("dispatcher.testing")

# Workers share the machine: a deadline would measure the neighbour.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PUSHPOOL_"):
            monkeypatch.delenv(name)
