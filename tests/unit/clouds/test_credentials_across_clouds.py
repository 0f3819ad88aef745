"""From one cloud into the other without a stored key: Google takes AWS's word, and AWS Google's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.auth import jwt
from google.auth.compute_engine import _metadata
from google.auth.crypt import RSASigner
from google.auth.transport.requests import Request

from adapters import aws, google
from adapters.failures import Trouble
from dispatcher.errors import Misconfigured
from dispatcher.testing.servers.token_endpoints import ROLE_SECRET, TokenEndpoints, token_endpoints

ROLE = "arn:aws:iam::123456789012:role/pushpool-dispatch"


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """A private key and its public half, in PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode(), public.decode()


@pytest.fixture
def endpoints(key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoints]:
    private, public = key
    signer = RSASigner.from_string(private, "1")

    def signed(claims: Mapping[str, Any]) -> str:
        token: bytes = jwt.encode(signer, claims)
        return token.decode()

    def checked(token: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(token, certs={"1": public})
        return claims

    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with token_endpoints(signed, checked) as made:
        yield made


@pytest.fixture
def on_aws(endpoints: TokenEndpoints, monkeypatch: pytest.MonkeyPatch) -> TokenEndpoints:
    """A function on AWS, configured as Terraform's module says it."""
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": endpoints.aws_key_id,
        "AWS_SECRET_ACCESS_KEY": ROLE_SECRET,
        "AWS_SESSION_TOKEN": "session",
    }.items():
        monkeypatch.setenv(name, value)
    account = f"projects/-/serviceAccounts/{endpoints.service_account}"
    described = {
        "type": "external_account",
        "audience": endpoints.provider,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{endpoints.url}/v1/token",
        "service_account_impersonation_url": f"{endpoints.url}/v1/{account}:generateAccessToken",
        "credential_source": {
            "environment_id": "aws1",
            "regional_cred_verification_url": (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            ),
        },
    }
    monkeypatch.setenv("PUSHPOOL_GOOGLE_CREDENTIALS", json.dumps(described))
    return endpoints


@pytest.fixture
def on_google(endpoints: TokenEndpoints, monkeypatch: pytest.MonkeyPatch) -> TokenEndpoints:
    """A function on Google Cloud, configured as Terraform's module says it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    host = endpoints.url.removeprefix("http://")
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)  # it reads GCE_METADATA_HOST when it is imported
    for name, value in {
        "GCE_METADATA_IP": host,
        "AWS_ENDPOINT_URL_STS": endpoints.url,
        "PUSHPOOL_AWS_ROLE_ARN": ROLE,
        "PUSHPOOL_AWS_AUDIENCE": endpoints.audience,
    }.items():
        monkeypatch.setenv(name, value)
    return endpoints


def test_on_aws_a_functions_role_becomes_a_service_account_of_google(on_aws: TokenEndpoints) -> None:
    credentials: Any = google.credentials()

    credentials.refresh(Request())

    assert credentials.token == on_aws.issued[-1]
    assert [each.partition("-")[0] for each in on_aws.issued] == ["federated", "impersonated"]


def test_credentials_of_google_are_made_once_and_kept(on_aws: TokenEndpoints) -> None:
    assert google.credentials() is google.credentials()


def test_a_role_that_google_does_not_know_gets_nothing(on_aws: TokenEndpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
    credentials: Any = google.credentials()

    with pytest.raises(google.ERRORS) as caught:
        credentials.refresh(Request())

    failure = google.failure(caught.value)
    assert failure.trouble is Trouble.CREDENTIALS
    assert "AWS does not know it" in failure.message
    assert "of-somebody-else" not in str(failure)


def test_a_service_account_that_the_role_may_not_be_is_told_so(on_aws: TokenEndpoints) -> None:
    on_aws.service_account = "another@project.iam.gserviceaccount.com"
    credentials: Any = google.credentials()

    with pytest.raises(google.ERRORS) as caught:
        credentials.refresh(Request())

    assert google.failure(caught.value).trouble is Trouble.CREDENTIALS
    assert "getAccessToken" in google.failure(caught.value).message


@pytest.mark.parametrize(
    "described",
    ["projects/1/locations/global", "[]", "{}", '{"type": "external_account"}', '{"type": "service_account"}'],
)
def test_what_describes_no_federation_is_refused(monkeypatch: pytest.MonkeyPatch, described: str) -> None:
    monkeypatch.setenv("PUSHPOOL_GOOGLE_CREDENTIALS", described)

    with pytest.raises(Misconfigured, match="PUSHPOOL_GOOGLE_CREDENTIALS cannot be used"):
        google.credentials()


def test_on_google_a_service_account_becomes_a_role_of_aws(on_google: TokenEndpoints) -> None:
    sts = aws.client("sts", region="eu-central-1")

    assert sts.get_caller_identity()["Arn"] == ROLE
    assert sts.get_caller_identity()["Arn"] == ROLE
    assert on_google.calls.count("AssumeRoleWithWebIdentity") == 1
    sts.close()


def test_a_role_is_taken_on_where_no_region_is_set_either(on_google: TokenEndpoints) -> None:
    sts = aws.client("sts", region="eu-west-1")

    assert sts.get_caller_identity()["Account"] == "123456789012"
    sts.close()


@pytest.mark.parametrize("what", ["audience", "account", "role_arn"])
def test_a_role_that_does_not_trust_the_service_account_is_named(on_google: TokenEndpoints, what: str) -> None:
    identity = {"audience": "another", "account": "118", "role_arn": "arn:aws:iam::123456789012:role/another"}
    setattr(on_google, what, identity[what])
    if what == "account":
        on_google.signed = _as_another(on_google)
    sts = aws.client("sts", region="eu-central-1")

    with pytest.raises(aws.ERRORS) as caught:
        sts.get_caller_identity()

    failure = aws.failure(caught.value)
    assert failure.trouble is Trouble.CREDENTIALS
    assert f"does the role {ROLE} trust this service account?" in failure.message
    sts.close()


def _as_another(endpoints: TokenEndpoints) -> Any:
    signed = endpoints.signed
    return lambda claims: signed({**claims, "sub": "117", "azp": "117"})


def test_without_a_metadata_server_the_call_is_not_made(
    on_google: TokenEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    sts = aws.client("sts", region="eu-central-1")

    with pytest.raises(aws.ERRORS) as caught:
        sts.get_caller_identity()

    assert aws.failure(caught.value).trouble is Trouble.CREDENTIALS
    assert "metadata server" in aws.failure(caught.value).message
    sts.close()


def test_a_role_without_an_audience_is_named(on_google: TokenEndpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHPOOL_AWS_AUDIENCE")

    with pytest.raises(Misconfigured, match="PUSHPOOL_AWS_AUDIENCE is not set"):
        aws.client("ecs", region="eu-central-1")
