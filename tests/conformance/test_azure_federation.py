"""Into Azure without a stored key: Entra takes AWS's word, and Google's, as azure-identity brings it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.auth import jwt
from google.auth.compute_engine import _metadata

from adapters import azure as adapter
from adapters.failures import Trouble
from dispatcher.errors import Misconfigured
from dispatcher.testing.servers.azure import RESOURCE_GROUP, azure, theirs
from dispatcher.testing.servers.azure.entra import SCOPE, Entra, entra
from dispatcher.testing.servers.google.issuer import ISSUER, Key
from dispatcher.testing.servers.token_endpoints import ROLE_SECRET, TokenEndpoints, token_endpoints


@pytest.fixture(scope="module")
def key() -> Key:
    """Signs for both clouds."""
    return Key()


@pytest.fixture
def endpoints(key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoints]:
    def checked(token: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(token, certs={key.id: key.certificate})
        return claims

    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with token_endpoints(lambda claims: key.signed(dict(claims)), checked) as made:
        yield made


@pytest.fixture
def trusting(endpoints: TokenEndpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """An application that trusts the function's role on AWS, and its service account on Google Cloud."""
    adapter._found.cache_clear()  # what was fetched for the test before is of an endpoint that is gone
    trusted = {endpoints.aws_issuer: endpoints.role_arn, ISSUER: endpoints.account}
    with entra(tmp_path, trusted, endpoints.checked) as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PUSHPOOL_AZURE_TENANT_ID", made.tenant)
        monkeypatch.setenv("PUSHPOOL_AZURE_CLIENT_ID", made.client_id)
        yield made


@pytest.fixture
def on_aws(endpoints: TokenEndpoints, trusting: Entra, monkeypatch: pytest.MonkeyPatch) -> Entra:
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": endpoints.aws_key_id,
        "AWS_SECRET_ACCESS_KEY": ROLE_SECRET,
        "AWS_SESSION_TOKEN": "session",
        "AWS_ENDPOINT_URL_STS": endpoints.url,
        "PUSHPOOL_AZURE_FEDERATION": "aws",
    }.items():
        monkeypatch.setenv(name, value)
    return trusting


@pytest.fixture
def on_google(endpoints: TokenEndpoints, trusting: Entra, monkeypatch: pytest.MonkeyPatch) -> Entra:
    host = endpoints.url.removeprefix("http://")
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)  # it reads GCE_METADATA_HOST when it is imported
    monkeypatch.setenv("GCE_METADATA_IP", host)
    monkeypatch.setenv("PUSHPOOL_AZURE_FEDERATION", "google")
    return trusting


@pytest.fixture(params=["on_aws", "on_google"])
def federated(request: pytest.FixtureRequest) -> Entra:
    """As a function of either cloud has it."""
    made: Entra = request.getfixturevalue(request.param)
    return made


def test_what_another_cloud_signs_becomes_a_token_that_opens_azure(federated: Entra, tmp_path: Path) -> None:
    with azure(tmp_path / "azure", accepts=federated.issued.__contains__) as api:
        token = adapter.credentials().get_token(SCOPE).token

        client = theirs.client(api.endpoint, api.subscription.id, token)
        assert list(client.container_groups.list_by_resource_group(RESOURCE_GROUP)) == []
        client.close()

    assert federated.issued == [token]


def test_a_token_is_fetched_once(federated: Entra) -> None:
    tokens = {adapter.credentials().get_token(SCOPE).token for _ in range(3)}

    assert len(tokens) == 1
    assert federated.asked == 1


@pytest.mark.parametrize(
    ("what", "value", "code"),
    [
        ("trusted", {}, "AADSTS700211"),
        ("trusted", "others", "AADSTS700213"),
        ("client_id", "another", "AADSTS700016"),
        ("tenant", "another", "AADSTS90002"),
        ("checked", None, "AADSTS700027"),
    ],
)
def test_an_application_that_does_not_trust_the_caller_is_a_matter_of_credentials(
    federated: Entra, what: str, value: Any, code: str
) -> None:
    def distrusts(token: str) -> Mapping[str, Any]:
        raise ValueError("Could not verify token signature.")

    given = dict.fromkeys(federated.trusted, "another") if value == "others" else value
    setattr(federated, what, distrusts if what == "checked" else given)

    with pytest.raises(adapter.ERRORS) as caught:
        adapter.credentials().get_token(SCOPE)

    failure = adapter.failure(caught.value)
    assert failure.trouble is Trouble.CREDENTIALS
    assert code in failure.message
    assert federated.issued == []


def test_a_token_endpoint_that_is_down_is_no_matter_of_credentials(federated: Entra) -> None:
    federated.is_down = True

    with pytest.raises(adapter.ERRORS) as caught:
        adapter.credentials().get_token(SCOPE)

    assert adapter.failure(caught.value).trouble is Trouble.NOT_SENT


def test_an_account_of_aws_that_signs_nothing_says_what_to_turn_on(on_aws: Entra, endpoints: TokenEndpoints) -> None:
    endpoints.aws_signs = False

    with pytest.raises(adapter.ERRORS) as caught:
        adapter.credentials().get_token(SCOPE)

    failure = adapter.failure(caught.value)
    assert failure.trouble is Trouble.CREDENTIALS
    assert "turn on outbound identity federation" in failure.message
    assert on_aws.asked == 0


def test_a_role_that_aws_does_not_know_is_signed_for_nobody(on_aws: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")

    with pytest.raises(adapter.ERRORS) as caught:
        adapter.credentials().get_token(SCOPE)

    assert adapter.failure(caught.value).trouble is Trouble.CREDENTIALS
    assert "of-somebody-else" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PUSHPOOL_AZURE_FEDERATION", "another", "write aws or google"),
        ("PUSHPOOL_AZURE_TENANT_ID", "", "PUSHPOOL_AZURE_TENANT_ID is not set"),
        ("PUSHPOOL_AZURE_CLIENT_ID", "", "PUSHPOOL_AZURE_CLIENT_ID is not set"),
    ],
)
def test_a_federation_that_is_half_told_says_what_is_missing(
    on_aws: Entra, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured, match=words):
        adapter.credentials()
