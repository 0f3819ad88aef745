"""What a handler is given besides its form, its query and the names in its path."""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.catalogue.registering import Change
from dispatcher.context import Context
from dispatcher.tokens import RunToken

STATUS_OF_CHANGE = {Change.CREATED: 201, Change.CHANGED: 200, Change.UNCHANGED: 200}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    context: Context
    run_token: RunToken | None = None

    @property
    def token(self) -> RunToken:
        assert self.run_token is not None, "only the routes that a run token opens have one"
        return self.run_token
