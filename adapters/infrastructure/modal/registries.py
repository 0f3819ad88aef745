"""Where an image comes from, and what is installed on top of it. Pure.

Prefect's template of `modal:push` has four kinds: PublicRegistry {tag}, PrivateRegistry {tag, secret},
AWSRegistry {tag, aws_secret} and GCPRegistry {tag, gcp_secret}. A secret is one of Modal's, by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.infrastructure.modal.places import checked_name
from dispatcher.errors import InvalidInput

PUBLIC, PRIVATE, AWS, GCP = "public", "private", "aws", "gcp"
# The key of the secret says which kind it is.
KINDS: Mapping[str, str] = {"secret": PRIVATE, "aws_secret": AWS, "gcp_secret": GCP}

_PYTHON = re.compile(r"3\.[0-9]{1,2}t?")

Json = dict[str, Any]


def image_of(configuration: Mapping[str, Any]) -> Json:
    """`registry` is one of the four kinds. :raises InvalidInput:"""
    given = configuration.get("image")
    made = _pulled({"tag": given} if isinstance(given, str) else given)
    if packages := _packages(configuration.get("pip_packages")):
        made["pip_packages"] = packages
    if python := configuration.get("add_python"):
        if not isinstance(python, str) or not _PYTHON.fullmatch(python):
            raise InvalidInput(f"add_python is {python!r}: write a version of Python, as in '3.12'", path="add_python")
        made["add_python"] = python
    return made


def _pulled(image: object) -> Json:
    if not image or (isinstance(image, Mapping) and not image.get("tag")):
        raise InvalidInput(
            "image is empty: give the deployment an image, or the pool a default for the variable `image`", path="image"
        )
    if not isinstance(image, Mapping) or not isinstance(image["tag"], str) or set(image) - {"tag", *KINDS}:
        raise _no_image(image)
    tag = image["tag"].strip()
    if not tag or re.search(r"\s", tag):  # it becomes a line of a Dockerfile
        raise InvalidInput(f"image is {tag!r}: write it as a registry has it, as in python:3.12", path="image")
    secrets = {key: name for key, name in image.items() if key in KINDS and name}
    if len(secrets) > 1:
        raise _no_image(image)
    for key, name in secrets.items():
        return {"tag": tag, "registry": KINDS[key], "secret": checked_name(name, f"image.{key}")}
    return {"tag": tag, "registry": PUBLIC}


def _no_image(image: object) -> InvalidInput:
    kinds = ", ".join(f'{{"tag": …, "{key}": NAME}}' for key in KINDS)
    return InvalidInput(f'image is {image!r}: write {{"tag": …}}, or with a secret of Modal {kinds}', path="image")


def _packages(packages: object) -> list[str]:
    if not packages:
        return []
    if isinstance(packages, list) and all(isinstance(each, str) and each.strip() for each in packages):
        found = [each.strip() for each in packages]
        if not any(each.startswith("-") for each in found):
            return found
    raise InvalidInput(
        f"pip_packages is {packages!r}: write a list of requirements without options of pip, as in ['httpx==0.28.1']",
        path="pip_packages",
    )
