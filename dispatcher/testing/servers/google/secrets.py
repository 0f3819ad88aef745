"""Secret Manager: secrets and their versions."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from dispatcher.testing.servers.cloud_run.refusals import Refused, denied

ENABLED, DISABLED, DESTROYED = "ENABLED", "DISABLED", "DESTROYED"
_NAME = re.compile(r"projects/([^/]+)/secrets/([A-Za-z0-9_-]{1,255})")


@dataclass(slots=True)
class Version:
    """One value of a secret."""

    name: str
    data: bytes
    state: str = ENABLED


@dataclass(slots=True)
class SecretManager:
    """By the names `projects/P/secrets/ID`."""

    kept: dict[str, list[Version]] = field(default_factory=dict)
    _faults: deque[str] = field(default_factory=deque)

    def put(self, name: str, data: bytes | str) -> Version:
        """A version more of a secret, which is made if it is not there."""
        if name not in self.kept:
            self.create(name)
        return self.add(name, data.encode() if isinstance(data, str) else data)

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        """The next access meets with that: `denied`, `disabled` (the API), `timeout`."""
        self._faults.extend([kind] * times)

    def create(self, name: str) -> str:
        """:raises Refused:"""
        if not _NAME.fullmatch(name):
            raise Refused(
                "INVALID_ARGUMENT", "The provided Secret ID does not match the expected format [[a-zA-Z_0-9]+]"
            )
        if name in self.kept:
            raise Refused("ALREADY_EXISTS", f"Secret [{name}] already exists.")
        self.kept[name] = []
        return name

    def delete(self, name: str) -> None:
        self._versions(name)
        del self.kept[name]

    def add(self, name: str, data: bytes) -> Version:
        versions = self._versions(name)
        versions.append(Version(f"{name}/versions/{len(versions) + 1}", data))
        return versions[-1]

    def set_state(self, name: str, state: str) -> Version:
        version = self.version(name)
        version.state = state
        return version

    def version(self, name: str) -> Version:
        """By number, or `latest`: the one that was made last, whatever its state. :raises Refused:"""
        secret, _, number = name.partition("/versions/")
        versions = self._versions(secret)
        if not versions:
            raise Refused("NOT_FOUND", f"Secret [{secret}] not found or has no versions.")
        if number == "latest":
            return versions[-1]
        if not number.isdecimal() or not 1 <= int(number) <= len(versions):
            raise Refused("NOT_FOUND", f"Secret Version [{name}] not found.")
        return versions[int(number) - 1]

    def access(self, name: str) -> Version:
        """:raises Refused:"""
        self._meet(name)
        version = self.version(name)
        if version.state != ENABLED:
            raise Refused("FAILED_PRECONDITION", f"Secret Version [{version.name}] is in {version.state} state.")
        return version

    def _versions(self, secret: str) -> list[Version]:
        if secret not in self.kept:
            raise Refused("NOT_FOUND", f"Secret [{secret}] not found or has no versions.")
        return self.kept[secret]

    def _meet(self, name: str) -> None:
        match self._faults.popleft() if self._faults else "":
            case "denied":
                raise denied("secretmanager.versions.access", name)
            case "disabled":
                why = "Secret Manager API has not been used in project 1 before or it is disabled."
                raise Refused("PERMISSION_DENIED", why, reason="SERVICE_DISABLED")
            case "timeout":
                raise Refused("UNAVAILABLE", "The service is currently unavailable.")
            case _:
                pass
