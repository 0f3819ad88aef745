"""What the local Secret Manager must do, as Google's own client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, SecretVersion

from dispatcher.testing.servers.google.project import GoogleProject, google_project


@pytest.fixture(scope="module")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleProject]:
    with google_project(tmp_path_factory.mktemp("google")) as made:
        yield made


@pytest.fixture(scope="module")
def client(google_cloud: GoogleProject) -> SecretManagerServiceClient:
    import grpc

    channel = grpc.insecure_channel(google_cloud.endpoint)
    transport = SecretManagerServiceClient.get_transport_class("grpc")(channel=channel)
    return SecretManagerServiceClient(transport=transport)


@pytest.fixture
def secret(google_cloud: GoogleProject, client: SecretManagerServiceClient) -> str:
    request = {"parent": f"projects/{google_cloud.id}", "secret_id": f"s-{uuid4().hex}", "secret": {}}
    return client.create_secret(request, retry=None).name


def test_the_latest_version_is_the_one_that_was_added_last(client: SecretManagerServiceClient, secret: str) -> None:
    for value in (b"old", b"new"):
        client.add_secret_version({"parent": secret, "payload": {"data": value}}, retry=None)

    latest = client.access_secret_version({"name": f"{secret}/versions/latest"}, retry=None)
    first = client.access_secret_version({"name": f"{secret}/versions/1"}, retry=None)

    assert (latest.payload.data, first.payload.data) == (b"new", b"old")
    assert latest.name == f"{secret}/versions/2"


def test_a_version_that_is_off_cannot_be_accessed(client: SecretManagerServiceClient, secret: str) -> None:
    name = client.add_secret_version({"parent": secret, "payload": {"data": b"x"}}, retry=None).name

    assert client.disable_secret_version({"name": name}, retry=None).state == SecretVersion.State.DISABLED
    with pytest.raises(exceptions.FailedPrecondition, match="is in DISABLED state"):
        client.access_secret_version({"name": f"{secret}/versions/latest"}, retry=None)
    client.enable_secret_version({"name": name}, retry=None)
    assert client.access_secret_version({"name": name}, retry=None).payload.data == b"x"
    client.destroy_secret_version({"name": name}, retry=None)
    with pytest.raises(exceptions.FailedPrecondition, match="is in DESTROYED state"):
        client.access_secret_version({"name": name}, retry=None)


@pytest.mark.parametrize("version", ["latest", "1"])
def test_what_has_no_version_is_not_found(client: SecretManagerServiceClient, secret: str, version: str) -> None:
    for name in (secret, f"{secret}-gone"):
        with pytest.raises(exceptions.NotFound, match="not found or has no versions"):
            client.access_secret_version({"name": f"{name}/versions/{version}"}, retry=None)


def test_names_are_unique_and_of_few_letters(client: SecretManagerServiceClient, secret: str) -> None:
    parent, _, secret_id = secret.partition("/secrets/")
    with pytest.raises(exceptions.AlreadyExists):
        client.create_secret({"parent": parent, "secret_id": secret_id, "secret": {}}, retry=None)
    with pytest.raises(exceptions.InvalidArgument):
        client.create_secret({"parent": parent, "secret_id": "a/b", "secret": {}}, retry=None)

    client.delete_secret({"name": secret}, retry=None)
    with pytest.raises(exceptions.NotFound):
        client.get_secret_version({"name": f"{secret}/versions/1"}, retry=None)
