"""What a workspace keeps by name in each environment: apps, secrets, volumes, mounts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from dispatcher.testing.servers.modal import theirs
from dispatcher.testing.servers.modal.refusals import absent, taken
from dispatcher.testing.servers.modal.rules import check_name


@dataclass(slots=True)
class Thing:
    """`content`: a secret's values, which nothing shows."""

    id: str
    name: str
    environment: str
    content: dict[str, str] = field(default_factory=dict, repr=False)
    created_at: float = field(default_factory=time.time)

    def creation(self) -> Any:
        return theirs.api().CreationInfo(created_at=self.created_at, created_by="somebody")


@dataclass(frozen=True, slots=True)
class Things:
    """Of one kind. `prefix`: what their ids begin with."""

    kind: str
    prefix: str
    by_id: dict[str, Thing] = field(default_factory=dict)

    def named(self, environment: str, name: str) -> Thing | None:
        here = (each for each in self.by_id.values() if (each.environment, each.name) == (environment, name))
        return next(here, None) if name else None

    def get(self, thing_id: str) -> Thing:
        """:raises Refused:"""
        if thing_id not in self.by_id:
            raise absent(self.kind, thing_id)
        return self.by_id[thing_id]

    def made(self, environment: str, name: str = "", content: dict[str, str] | None = None) -> Thing:
        thing = Thing(theirs.new_id(self.prefix), name, environment, content or {})
        self.by_id[thing.id] = thing
        return thing

    def get_or_create(self, environment: str, name: str, how: int, content: dict[str, str] | None = None) -> Thing:
        """`how`: an ObjectCreationType. :raises Refused:"""
        api = theirs.api()
        if how in (api.OBJECT_CREATION_TYPE_ANONYMOUS_OWNED_BY_APP, api.OBJECT_CREATION_TYPE_EPHEMERAL):
            return self.made(environment, content=content)
        check_name(self.kind, name)
        found = self.named(environment, name)
        if found is None:
            if how == api.OBJECT_CREATION_TYPE_UNSPECIFIED:
                raise absent(self.kind, name, environment)
            return self.made(environment, name, content)
        if how == api.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS:
            raise taken(self.kind, name)
        if how == api.OBJECT_CREATION_TYPE_CREATE_OVERWRITE_IF_EXISTS:
            found.content = content or {}
        return found
