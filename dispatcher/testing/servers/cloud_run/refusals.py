"""What the API refuses, in gRPC's codes and the service's words."""

from __future__ import annotations

from collections.abc import Mapping

from dispatcher.testing.servers.cloud_run import theirs

LIMITS = {
    "write": ("Write requests", "Write requests per minute per region", "WritePerMinutePerProjectRegion"),
    "run": ("Job run requests", "Job run requests per minute per region", "RunJobPerMinutePerProjectRegion"),
}


class Refused(Exception):
    """`code` is gRPC's name of it, as in INVALID_ARGUMENT; `reason` and `metadata` become a google.rpc.ErrorInfo."""

    def __init__(self, code: str, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason
        self.metadata = dict(metadata or {})

    def abort(self, context: object) -> None:
        """Ends the call with it, its details in the trailer, as Google's clients look for them."""
        code = getattr(theirs.grpc().StatusCode, self.code)
        if self.reason:
            details = theirs.module("google.rpc.error_details_pb2")
            info = details.ErrorInfo(reason=self.reason, domain="googleapis.com", metadata=self.metadata)
            status = theirs.module("google.rpc.status_pb2").Status(
                code=code.value[0], message=self.message, details=[theirs.packed(info)]
            )
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))  # type: ignore[attr-defined]
        context.abort(code, self.message)  # type: ignore[attr-defined]


def invalid(path: str, why: str) -> Refused:
    return Refused("INVALID_ARGUMENT", f"{path}: {why}")


def denied(permission: str, resource: str) -> Refused:
    return Refused(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource '{resource}' (or resource may not exist).",
        reason="IAM_PERMISSION_DENIED",
        metadata={"permission": permission, "resource": resource},
    )


def absent(name: str) -> Refused:
    return Refused("NOT_FOUND", f"Resource '{name.rpartition('/')[2]}' of kind '{_kind(name)}' does not exist.")


def throttled(what: str, region: str, number: str) -> Refused:
    metric, limit, name = LIMITS[what]
    return Refused(
        "RESOURCE_EXHAUSTED",
        f"Quota exceeded for quota metric '{metric}' and limit '{limit}' of service 'run.googleapis.com' for consumer "
        f"'project_number:{number}'.",
        reason="RATE_LIMIT_EXCEEDED",
        metadata={"quota_limit": name, "quota_location": region, "service": "run.googleapis.com"},
    )


def over_quota(what: str) -> Refused:
    """Not a rate: so many of them there may be (manual, "Cloud Run quotas and limits"). The text is ours."""
    return Refused("RESOURCE_EXHAUSTED", f"Quota exceeded for total allowable count of {what} per project per region.")


def _kind(name: str) -> str:
    return name.split("/")[-2].removesuffix("s").upper()
