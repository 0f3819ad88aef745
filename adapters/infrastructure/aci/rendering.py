"""A job's configuration, in the skeleton of Prefect's container instance templates, as what is sent to Azure. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from adapters.commands import command_of, refuse_marks, words_of
from adapters.infrastructure.aci import arm, places
from adapters.infrastructure.aci.attachments import attach
from adapters.infrastructure.aci.environment import others_of, variables_of
from adapters.infrastructure.aci.fields import check_group
from adapters.infrastructure.aci.sizes import check_no_gpu, put_sizes
from adapters.infrastructure.aci.tags import tags_of
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job, Request

_CONTAINERS = f"{arm.PATH}.properties.containers"
_MAY_BE_SECRET = re.compile(
    r"\.secureValue$|imageRegistryCredentials\[\d+\]\.password$|\.workspaceKey$|\.storageAccountKey$"
    r"|volumes\[\d+\]\.secret\.[^.]+$|extensions\[\d+\]\.properties\.protectedSettings\b"
)
_WAY_OUT = "put it into env or secure_env"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # "Naming conventions" of container instances
_NEVER = "Never"
_SPOT = "Spot"

Json = dict[str, Any]


def request_of(job: Job, *, region: str, subscription: str) -> Request:
    """`containerGroupName`, and `containerGroup`: what is PUT there, in full but for the token.

    `region` and `subscription` are the dispatcher's own, where the template names none. A region that is still "" is
    the resource group's own.

    :raises InvalidInput: the configuration cannot be made into a request.
    """
    configuration = job.configuration
    check_no_gpu(configuration)
    group = arm.group_of(copy.deepcopy(configuration.get("arm_template")))
    regions = places.regions_of(configuration, str(group.pop("location", None) or region))
    target = places.target_of(configuration, subscription=subscription, regions=regions, turn=job.refusals)
    if target.region:
        group["location"] = target.region
    group["tags"] = tags_of(job, group.get("tags"))
    _put_properties(group, job)
    attach(group, configuration)
    refuse_marks(group, arm.PATH, allowed=_MAY_BE_SECRET, way_out=_WAY_OUT)
    check_group(group)
    _check_spot(group["properties"])
    name = places.group_name(job.run_id, job.attempt, job.submit_seq)
    return Request(target, {"containerGroupName": name, "containerGroup": group})


def _put_properties(group: Json, job: Job) -> None:
    configuration = job.configuration
    properties = group.setdefault("properties", {})
    if not isinstance(properties, dict):
        raise InvalidInput(f"{arm.PATH}.properties is {properties!r}: write an object", path=f"{arm.PATH}.properties")
    properties.setdefault("osType", "Linux")
    properties["restartPolicy"] = _NEVER  # another start of the same attempt is never wanted
    for key in ("priority", "sku"):
        if configuration.get(key):
            properties[key] = configuration[key]
    containers = properties["containers"] = _containers(properties.get("containers"))
    _put_main(containers[0], job)
    _put_init(properties.get("initContainers"))
    put_sizes(containers, configuration, spot=_is_spot(properties))


def _containers(given: object) -> list[Json]:
    """The first is the run; what stands beside it goes when the container group is cleaned up."""
    containers = [{}] if given is None else given
    if not isinstance(containers, list) or not containers or not all(isinstance(each, dict) for each in containers):
        raise InvalidInput(f"{_CONTAINERS} is {given!r}: write a list of objects", path=_CONTAINERS)
    for number, each in enumerate(containers):
        path = f"{_CONTAINERS}[{number}]"
        if not isinstance(each.setdefault("properties", {}), dict):
            raise InvalidInput(f"{path}.properties is no object; write one", path=f"{path}.properties")
        if number:
            _put_other(each, path)
    return containers


def _put_other(container: Json, path: str) -> None:
    name, properties = str(container.get("name") or ""), container["properties"]
    if not _NAME.fullmatch(name) or name == places.CONTAINER:
        raise InvalidInput(
            f"{path}.name is {name!r}: at most 63 lowercase letters, digits and `-`, and not `{places.CONTAINER}`, "
            "which is the first one's",
            path=f"{path}.name",
        )
    if "command" in properties:
        properties["command"] = words_of(properties["command"], f"{path}.properties.command")
    variables = f"{path}.properties.environmentVariables"
    properties["environmentVariables"] = others_of(properties.get("environmentVariables"), variables)


def _put_init(containers: object) -> None:
    """Of those that go before the run as much as is ours: what is no such container is found by its model."""
    for number, each in enumerate(containers if isinstance(containers, list) else []):
        properties = each.get("properties") if isinstance(each, dict) else None
        if isinstance(properties, dict) and "environmentVariables" in properties:
            path = f"{arm.PATH}.properties.initContainers[{number}].properties.environmentVariables"
            properties["environmentVariables"] = others_of(properties["environmentVariables"], path)


def _put_main(container: Json, job: Job) -> None:
    configuration, properties = job.configuration, container["properties"]
    container["name"] = places.CONTAINER
    properties["image"] = _image(configuration, properties)
    words = _command(configuration, properties.pop("command", None))
    if words:
        properties["command"] = words
    properties["environmentVariables"] = variables_of(job, properties.pop("environmentVariables", None))


def _image(configuration: Mapping[str, Any], properties: Json) -> str:
    image = properties.get("image") or configuration.get("image")
    if not image:
        raise InvalidInput(
            "image is empty: give the deployment an image, or the pool a default for the variable `image`", path="image"
        )
    if not isinstance(image, str) or any(letter.isspace() for letter in image):
        raise InvalidInput(f"image is {image!r}: write it as in registry.azurecr.io/etl:1", path="image")
    return image


def _command(configuration: Mapping[str, Any], nested: object) -> list[str]:
    """What is executed, without a shell and in place of the image's own entry point (API Container, `command`).

    An `entrypoint` stands before it, the runner too, as the image's own would: it may be what makes the runner's path.
    """
    command = configuration.get("command") or nested
    made = (
        command_of(command, configuration.get("runner")) if command or configuration.get("runner") is not False else []
    )
    return [*words_of(configuration.get("entrypoint"), "entrypoint"), *made] if made else []


def _is_spot(properties: Json) -> bool:
    return str(properties.get("priority") or "").lower() == _SPOT.lower()


def _check_spot(properties: Json) -> None:
    """As "Azure Container Instances Spot containers" says. :raises InvalidInput:"""
    if _is_spot(properties) and properties.get("subnetIds"):
        raise InvalidInput("priority is 'Spot', which has no virtual network; leave subnet_ids out", path="subnet_ids")
