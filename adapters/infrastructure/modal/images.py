"""An image of the request as one of Modal's. Nothing is asked of Modal yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modal._image import _Image
from modal.secret import _Secret

from adapters.infrastructure.modal import registries


def image_of(image: Mapping[str, Any], secret: _Secret | None) -> _Image:
    """`secret` holds the credentials for its registry, unless that is public."""
    pull = {
        registries.AWS: _Image.from_aws_ecr,
        registries.GCP: _Image.from_gcp_artifact_registry,
    }.get(image["registry"], _Image.from_registry)
    pulled: _Image = pull(image["tag"], secret=secret, add_python=image.get("add_python"))
    made: _Image = pulled.pip_install(*image.get("pip_packages", ()))
    return made
