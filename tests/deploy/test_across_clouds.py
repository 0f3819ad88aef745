"""The modules of both clouds in one configuration: each dispatcher with a pool of the other cloud."""

from __future__ import annotations

from dispatcher.testing.terraform import ACROSS, Terraform


def test_a_dispatcher_and_the_other_clouds_pool_can_be_told_of_each_other(across_clouds: Terraform) -> None:
    said = across_clouds(ACROSS, "validate", "-no-color")

    assert "Success!" in said
