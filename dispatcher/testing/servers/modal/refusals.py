"""What the API refuses, in gRPC's codes. The words are ours where the client's source does not have them."""

from __future__ import annotations

from dispatcher.testing.servers.modal import theirs


class Refused(Exception):
    """`code` is gRPC's name of it, as in INVALID_ARGUMENT. `retry_after`: seconds after which a client tries again."""

    def __init__(self, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after = code, message, retry_after

    def error(self) -> Exception:
        """As grpclib ends a call with it."""
        const = theirs.module("grpclib.const")
        pacing = [theirs.api().RPCRetryPolicy(retry_after_secs=self.retry_after)] if self.retry_after else None
        made: Exception = theirs.module("grpclib").GRPCError(const.Status[self.code], self.message, pacing)
        return made


def invalid(message: str) -> Refused:
    return Refused("INVALID_ARGUMENT", message)


def absent(kind: str, name: str, environment: str = "") -> Refused:
    where = f" in environment '{environment}'" if environment else ""
    return Refused("NOT_FOUND", f"{kind} '{name}' not found{where}.")


def taken(kind: str, name: str) -> Refused:
    return Refused("ALREADY_EXISTS", f"{kind} '{name}' already exists.")


def unauthenticated() -> Refused:
    return Refused("UNAUTHENTICATED", "Token ID or token secret is invalid.")


def unavailable() -> Refused:
    return Refused("UNAVAILABLE", "The service is temporarily unavailable.")
