"""Where one cloud takes another's word, on loopback: token endpoints of Google Cloud and of AWS, and a metadata server.

They check what the real ones check: Google's STS the signature of AWS's request (RFC 8693; "Workload identity
federation with AWS"), AWS's STS that Google signed the identity, for that audience, not long ago, and the signature of
whoever wants to be told of to others ("Outbound identity federation").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from dispatcher.testing.servers.loopback import Silent, serving

Form: TypeAlias = Mapping[str, str]
Answer: TypeAlias = tuple[int, str, str]  # status, content type, body

JSON, XML, TEXT = "application/json", "text/xml", "text/plain"
ROLE_SECRET = "secret-of-the-function-on-aws"  # noqa: S105 - of nobody's account


@dataclass(slots=True)
class TokenEndpoints:
    """`url` is where all of them are. What is allowed: `aws_key_id` on Google Cloud, `account` on AWS.

    `signed` makes Google's identity tokens, `checked` returns the claims of one, or raises ValueError.
    """

    url: str
    signed: Callable[[Mapping[str, Any]], str]
    checked: Callable[[str], Mapping[str, Any]]
    provider: str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/aws/providers/aws"
    aws_key_id: str = "ASIAFUNCTION"
    account: str = "117"
    audience: str = "pushpool-on-aws"
    aws_issuer: str = "https://00000000-0000-0000-0000-000000000001.tokens.sts.global.api.aws"
    aws_signs: bool = True  # outbound identity federation is turned on in the account
    role_arn: str = "arn:aws:iam::123456789012:role/pushpool-dispatch"
    service_account: str = "dispatch@project.iam.gserviceaccount.com"
    calls: list[str] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)  # key ids and access tokens that were given out

    def answer(self, path: str, query: Form, headers: Form, body: str) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body).items()}
        action = form.get("Action", "")
        self.calls.append(action or path)
        return self._of_aws(action, form, headers, body) if action else self._of_google(path, query, headers, form)

    def _of_aws(self, action: str, form: Form, headers: Form, body: str) -> Answer:
        match action:
            case "AssumeRoleWithWebIdentity":
                return self._assumed(form)
            case "GetCallerIdentity":
                return self._caller(headers)
            case "GetWebIdentityToken":
                return self._told_of(form, headers, body)
            case _:
                return 404, TEXT, f"there is no {action}"

    def _of_google(self, path: str, query: Form, headers: Form, form: Form) -> Answer:
        match path:
            case "/computeMetadata/v1/instance/service-accounts/default/identity":
                found = self._identity(query, headers)
            case "/computeMetadata/v1/instance/service-accounts/default/":
                account = {"aliases": ["default"], "email": self.service_account, "scopes": []}
                found = (200, JSON, json.dumps(account))
            case "/v1/token":
                found = self._exchanged(form)
            case "/":
                found = (200, TEXT, "computeMetadata/")
            case asked if asked.endswith(":generateAccessToken"):
                found = self._impersonated(path, headers)
            case _:
                found = (404, TEXT, f"nothing is at {path}")
        return found

    # Google's metadata server

    def _identity(self, query: Form, headers: Form) -> Answer:
        if headers.get("metadata-flavor") != "Google":
            return 403, TEXT, "Missing Metadata-Flavor:Google header"
        now = datetime.now(UTC)
        claims = {
            "iss": "https://accounts.google.com", "aud": query["audience"], "sub": self.account, "azp": self.account,
            "iat": int(now.timestamp()), "exp": int((now + timedelta(hours=1)).timestamp()),
        }  # fmt: skip
        return 200, TEXT, self.signed(claims)

    # AWS's STS

    def _assumed(self, form: Form) -> Answer:
        try:
            claims = self.checked(form["WebIdentityToken"])
        except ValueError as exc:
            return _refused("InvalidIdentityToken", str(exc))
        if claims["aud"] != self.audience or claims["sub"] != self.account or form["RoleArn"] != self.role_arn:
            return _refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        key_id = f"ASIA{uuid4().hex[:12].upper()}"
        self.issued.append(key_id)
        expires = datetime.now(UTC) + timedelta(hours=1)
        inner = (
            f"<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey>"
            f"<SessionToken>session</SessionToken><Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{self.role_arn}</Arn><AssumedRoleId>A:{form['RoleSessionName']}</AssumedRoleId>"
            "</AssumedRoleUser>"
        )
        return _xml("AssumeRoleWithWebIdentity", inner)

    def _caller(self, headers: Form) -> Answer:
        scope = headers.get("authorization", "").partition("Credential=")[2]
        if scope.partition("/")[0] not in self.issued:
            return _refused("InvalidClientTokenId", "The security token included in the request is invalid", 403)
        inner = f"<Arn>{self.role_arn}</Arn><UserId>A:pushpool</UserId><Account>123456789012</Account>"
        return _xml("GetCallerIdentity", inner)

    def _told_of(self, form: Form, headers: Form, body: str) -> Answer:
        """Who the caller is, signed by the account for somebody else (API GetWebIdentityToken)."""
        if not self._is_signed({"method": "POST", "url": f"{self.url}/"}, headers, body):
            return _refused("SignatureDoesNotMatch", "The request signature we calculated does not match", 403)
        if not self.aws_signs:
            return _refused("OutboundWebIdentityFederationDisabled", "It is not enabled for this account", 403)
        now, seconds = datetime.now(UTC), int(form.get("DurationSeconds", 300))
        claims = {
            "iss": self.aws_issuer, "aud": form["Audience.member.1"], "sub": self.role_arn, "jti": str(uuid4()),
            "iat": int(now.timestamp()), "exp": int((now + timedelta(seconds=seconds)).timestamp()),
        }  # fmt: skip
        expires = now + timedelta(seconds=seconds)
        inner = (
            f"<WebIdentityToken>{self.signed(claims)}</WebIdentityToken>"
            f"<Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        )
        return _xml("GetWebIdentityToken", inner)

    # Google's STS, and service account credentials

    def _exchanged(self, form: Form) -> Answer:
        subject = json.loads(unquote(form["subject_token"]))
        wanted = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
            "audience": self.provider,
        }
        headers = {each["key"].lower(): each["value"] for each in subject["headers"]}
        if any(form.get(name) != value for name, value in wanted.items()):
            return 400, JSON, json.dumps({"error": "invalid_request", "error_description": "not as it is configured"})
        if headers.get("x-goog-cloud-target-resource") != self.provider or not self._is_signed(subject, headers):
            return 400, JSON, json.dumps({"error": "invalid_grant", "error_description": "AWS does not know it"})
        return self._issue("federated", {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def _is_signed(self, subject: Mapping[str, Any], headers: Form, body: str = "") -> bool:
        """Whether the request is signed with the key that is allowed, as AWS finds, when it is sent on too."""
        auth, awsrequest = import_module("botocore.auth"), import_module("botocore.awsrequest")
        credentials = import_module("botocore.credentials").Credentials(self.aws_key_id, ROLE_SECRET)
        given = dict(part.split("=", 1) for part in headers["authorization"].partition(" ")[2].split(", "))
        key_id, _, region, service, _ = given["Credential"].split("/")
        covered = {
            name: headers.get(name, urlsplit(subject["url"]).netloc) for name in given["SignedHeaders"].split(";")
        }
        request = awsrequest.AWSRequest(subject["method"], subject["url"], covered, body.encode())
        request.context["timestamp"] = headers["x-amz-date"]
        signer = auth.SigV4Auth(credentials, service, region)
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return key_id == self.aws_key_id and expected == given["Signature"]

    def _impersonated(self, path: str, headers: Form) -> Answer:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.issued or self.service_account not in path:
            problem = {
                "code": 403,
                "status": "PERMISSION_DENIED",
                "message": "iam.serviceAccounts.getAccessToken denied",
            }
            return 403, JSON, json.dumps({"error": problem})
        expires = datetime.now(UTC) + timedelta(hours=1)
        token = self._new("impersonated")
        return 200, JSON, json.dumps({"accessToken": token, "expireTime": f"{expires:%Y-%m-%dT%H:%M:%SZ}"})

    def _issue(self, kind: str, more: Mapping[str, Any]) -> Answer:
        issued = {"access_token": self._new(kind), "token_type": "Bearer", "expires_in": 3600, **more}
        return 200, JSON, json.dumps(issued)

    def _new(self, kind: str) -> str:
        self.issued.append(f"{kind}-{uuid4()}")
        return self.issued[-1]


def _xml(operation: str, inner: str) -> Answer:
    namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
    return 200, XML, (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{inner}</{operation}Result>'
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
    )  # fmt: skip


def _refused(code: str, message: str, status: int = 400) -> Answer:
    return status, XML, (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>"
    )  # fmt: skip


@contextmanager
def token_endpoints(
    signed: Callable[[Mapping[str, Any]], str], checked: Callable[[str], Mapping[str, Any]]
) -> Iterator[TokenEndpoints]:
    """They answer while the block lasts."""
    made: list[TokenEndpoints] = []

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(place.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, kind, text = made[0].answer(place.path, query, headers, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 - http.server calls it so

    with serving(Handler) as url:
        made.append(TokenEndpoints(url, signed, checked))
        yield made[0]
