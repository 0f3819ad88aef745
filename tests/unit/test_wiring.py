"""What adapters are told of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dispatcher import registry, settings, wiring


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, str]:
    """What a new adapter is opened with."""
    monkeypatch.setenv("PUSHPOOL_HOME", str(tmp_path))
    found: list[Mapping[str, str]] = []
    monkeypatch.setitem(registry.INFRASTRUCTURE, "told", "told")
    monkeypatch.setattr(registry, "load", lambda kind, where: found.append)
    wiring.infrastructures(settings.read())("told")
    return found[0]


def test_quotas_of_a_cloud_are_told(told: Mapping[str, str]) -> None:
    assert (told["aci_creates_per_hour"], told["aci_creates_per_five_minutes"]) == ("300", "100")


def test_a_token_is_looked_up_when_it_is_asked_for(told: Mapping[str, str], tmp_path: Path) -> None:
    assert told.get("modal_token") is None
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "modal-token").write_text("first\n")
    assert told["modal_token"] == "first"
    (tmp_path / "secrets" / "modal-token").write_text("second\n")
    assert told["modal_token"] == "second"


def test_a_token_in_the_environment_is_taken_first(told: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHPOOL_SECRET_MODAL_TOKEN", "mine")

    assert told["modal_token"] == "mine"


def test_what_nobody_tells_is_not_there(told: Mapping[str, str]) -> None:
    assert told.get("region") is None
    assert {"state_directory", "modal_token"} <= set(told)
    assert len(told) == len(list(told))
