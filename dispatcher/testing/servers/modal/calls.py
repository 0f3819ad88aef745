"""What the calls for named things and images do to a workspace, each under its name in Modal's own service."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from dispatcher.testing.servers.modal import theirs
from dispatcher.testing.servers.modal.refusals import invalid
from dispatcher.testing.servers.modal.workspace import Workspace

Answer: TypeAlias = Callable[[Any], Any | Awaitable[Any]]

BUILDER_VERSION = "2025.06"
TOKEN_SECONDS = 1200


def of_workspaces(workspace: Workspace) -> dict[str, Answer]:
    """Who asks, and where."""
    api = theirs.api()

    def environment(request: Any) -> Any:
        name = workspace.environment(request.deployment_name)
        settings = api.EnvironmentSettings(image_builder_version=BUILDER_VERSION)
        metadata = api.EnvironmentMetadata(name=name, settings=settings)
        return api.EnvironmentGetOrCreateResponse(environment_id=f"en-{name}", metadata=metadata)

    def environments(_: Any) -> Any:
        items = [api.EnvironmentListItem(name=name, default=not n) for n, name in enumerate(workspace.environments)]
        return api.EnvironmentListResponse(items=items)

    return {
        "ClientHello": lambda _: api.ClientHelloResponse(image_builder_version=BUILDER_VERSION),
        "AuthTokenGet": lambda _: api.AuthTokenGetResponse(token=auth_token()),
        "WorkspaceNameLookup": lambda _: api.WorkspaceNameLookupResponse(workspace_name=workspace.name),
        "EnvironmentGetOrCreate": environment,
        "EnvironmentList": environments,
    }


def of_things(workspace: Workspace) -> dict[str, Answer]:
    """Apps, secrets, volumes and mounts."""
    api = theirs.api()

    def app(request: Any) -> Any:
        where = workspace.environment(request.environment_name)
        found = workspace.apps.get_or_create(where, request.app_name, request.object_creation_type)
        metadata = api.AppHandleMetadata(app_id=found.id, description=found.name, environment_name=where)
        return api.AppGetOrCreateResponse(app_id=found.id, handle_metadata=metadata)

    def secret(request: Any) -> Any:
        where = workspace.environment(request.environment_name)
        how, content = request.object_creation_type, dict(request.env_dict)
        found = workspace.secrets.get_or_create(where, request.deployment_name, how, content)
        if missing := set(request.required_keys) - found.content.keys():
            raise invalid(f"Secret '{found.name}' is missing key(s): {', '.join(sorted(missing))}")
        return api.SecretGetOrCreateResponse(secret_id=found.id, metadata=_secret_metadata(found.id))

    def _secret_metadata(secret_id: str) -> Any:
        found = workspace.secrets.get(secret_id)
        return api.SecretMetadata(
            name=found.name, keys=sorted(found.content), environment_name=found.environment,
            creation_info=found.creation(),
        )  # fmt: skip

    def secrets(request: Any) -> Any:
        where = workspace.environment(request.environment_name)
        here = [each for each in workspace.secrets.by_id.values() if each.environment == where and each.name]
        items = [
            api.SecretListItem(label=each.name, secret_id=each.id, metadata=_secret_metadata(each.id)) for each in here
        ]
        return api.SecretListResponse(items=items, environment_name=where)

    def volume(request: Any) -> Any:
        where = workspace.environment(request.environment_name)
        found = workspace.volumes.get_or_create(where, request.deployment_name, request.object_creation_type)
        metadata = api.VolumeMetadata(name=found.name, creation_info=found.creation())
        return api.VolumeGetOrCreateResponse(volume_id=found.id, metadata=metadata)

    def mount(request: Any) -> Any:
        """Those that Modal publishes for everybody, as of its own Pythons, are there as soon as they are named."""
        found = workspace.mounts.get_or_create("", request.deployment_name, api.OBJECT_CREATION_TYPE_CREATE_IF_MISSING)
        return api.MountGetOrCreateResponse(mount_id=found.id)

    return {
        "AppGetOrCreate": app,
        "SecretGetOrCreate": secret,
        "SecretGetInfo": lambda request: api.SecretGetInfoResponse(metadata=_secret_metadata(request.secret_id)),
        "SecretList": secrets,
        "VolumeGetOrCreate": volume,
        "MountGetOrCreate": mount,
    }


def of_images(workspace: Workspace) -> dict[str, Answer]:
    api = theirs.api()

    def image(request: Any) -> Any:
        workspace.apps.get(request.app_id)
        build, is_new = workspace.image(request.image)
        return api.ImageGetOrCreateResponse(image_id=build.id, result=None if is_new else build.result())

    return {
        "ImageGetOrCreate": image,
        "ImageFromId": lambda request: api.ImageFromIdResponse(image_id=workspace.build(request.image_id).id),
    }


def auth_token(subject: str = "pushpool-test") -> str:
    """A JWT that nobody has signed; clients look at its expiry."""
    claims = {"sub": subject, "exp": time.time() + TOKEN_SECONDS}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)]
    return b".".join([*parts, b""]).decode()
