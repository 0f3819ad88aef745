"""The modules of all clouds in one configuration: each dispatcher with pools of the other clouds."""

from __future__ import annotations

from dispatcher.testing.terraform import ACROSS, AWS_TO_OTHERS, Terraform


def test_a_dispatcher_and_the_other_clouds_pools_can_be_told_of_each_other(across_clouds: Terraform) -> None:
    said = across_clouds(ACROSS, "validate", "-no-color")

    assert "Success!" in said


def test_the_example_on_aws_with_pools_elsewhere_is_valid(across_clouds: Terraform) -> None:
    across_clouds.init(AWS_TO_OTHERS)

    said = across_clouds(AWS_TO_OTHERS, "validate", "-no-color")

    assert "Success!" in said
    assert "Warning" not in said
