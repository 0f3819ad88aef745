"""Images: what they are made of, how long that takes, and why it fails."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.testing.servers.modal import theirs

_FROM = re.compile(r"FROM\s+(\S+)", re.IGNORECASE)
_PACKAGES = re.compile(r"RUN python -m pip install\s+(.+)")


@dataclass(slots=True)
class Build:
    """One image. `ready_at` is of the monotonic clock; `error` is told when it is ready."""

    id: str
    definition: Any
    ready_at: float
    error: str = ""

    @property
    def is_done(self) -> bool:
        return time.monotonic() >= self.ready_at

    @property
    def has_failed(self) -> bool:
        return self.is_done and bool(self.error)

    def result(self) -> Any:
        """Without a status as long as it goes on."""
        made = theirs.api().GenericResult()
        if self.is_done:
            made.status = theirs.status("FAILURE" if self.error else "SUCCESS")
            made.exception = self.error
        return made


@dataclass(frozen=True, slots=True)
class Registry:
    """The images that there are. `private`: a tag, and what the secret must hold that may pull it."""

    public: frozenset[str]
    private: Mapping[str, Mapping[str, str]]
    packages_missing: frozenset[str]  # no index has them

    def error(self, definition: Any, credentials: Mapping[str, str]) -> str:
        """Why the image cannot be built; empty: it can."""
        commands = list(definition.dockerfile_commands)
        tag = tag_of(commands)
        if not definition.base_images and tag in self.private:
            if not self.private[tag].items() <= credentials.items():
                return f"Failed to pull image '{tag}': unauthorized: authentication required"
        elif not definition.base_images and tag not in self.public:
            return f"Failed to pull image '{tag}': manifest unknown: manifest unknown"
        for package in packages_of(commands):
            if re.split(r"[<>=!~\[ ]", package)[0] in self.packages_missing:
                return f"ERROR: No matching distribution found for {package}"
        return ""


def id_of(definition: Any) -> str:
    """The same for the same content."""
    digest = hashlib.sha256(definition.SerializeToString(deterministic=True)).hexdigest()
    return f"im-{digest[:22]}"


def tag_of(commands: list[str]) -> str:
    """Of the image that this one begins with."""
    return next((found[1] for command in commands if (found := _FROM.match(command))), "")


def packages_of(commands: list[str]) -> list[str]:
    found = [match[1] for command in commands if (match := _PACKAGES.match(command))]
    return [word.strip("'\"") for words in found for word in words.split() if not word.startswith("-")]
