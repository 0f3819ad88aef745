"""What may be asked in a query string, and the small bodies that are no forms of the catalogue."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from dispatcher.api_keys import Scope
from dispatcher.callbacks import StateWord, Word
from dispatcher.forms import Form, Instant, ResourceName, Tag
from dispatcher.ports import RunFilter
from dispatcher.runs import MESSAGE_KEPT, TYPE_OF, Name, StateType

PAGE, LONGEST_PAGE = 50, 200
LONGEST_PREVIEW_HOURS = 24 * 7


def _whole(value: Any) -> Any:
    """Digits only: pydantic would also take 1.0 and 1_0."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError("give a whole number")
    return value


def _flag(value: Any) -> Any:
    """`true` or `false`: pydantic would also take on, y and 1."""
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("give true or false")
    return value


Whole = BeforeValidator(_whole)
Flag = Annotated[bool, BeforeValidator(_flag)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Query(BaseModel):
    """A query string. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class PageQuery(Query):
    """A page of a list."""

    limit: Annotated[int, Field(ge=1, le=LONGEST_PAGE), Whole] = PAGE
    cursor: Cursor | None = Field(default=None, description="`next` of the page before.")


class DeploymentsQuery(PageQuery):
    """Which deployments."""

    pool: ResourceName | None = None


class ForceQuery(Query):
    """`force`: also if it is in use."""

    force: Flag = False


class ScheduleQuery(Query):
    """`only`: the deployment's other schedules go."""

    only: Flag = False


class PreviewQuery(Query):
    """How far to look ahead."""

    hours: Annotated[int, Field(ge=1, le=LONGEST_PREVIEW_HOURS), Whole] = 1


class LogQuery(Query):
    """Which attempt; the last one if it is left out."""

    attempt: Annotated[int, Field(ge=1, le=1_000_000), Whole] | None = None


class RunsQuery(PageQuery):
    """Which runs. Times are of `scheduled_time`."""

    deployment: ResourceName | None = None
    pool: ResourceName | None = None
    queue: ResourceName | None = None
    state: list[StateType | Name] = Field(
        default_factory=list, max_length=30, description="State types or names, any of them."
    )
    tag: list[Tag] = Field(default_factory=list, max_length=10, description="All of them.")
    since: Instant | None = Field(default=None, description="Inclusive.")
    until: Instant | None = Field(default=None, description="Exclusive.")

    def names(self) -> frozenset[Name]:
        """The state names, as shown, that the wanted types and names stand for; none is any."""
        return frozenset(name for name in Name if {name, TYPE_OF[name]} & set(self.state))


class CancelForm(Form):
    """Why."""

    message: Annotated[str, StringConstraints(max_length=MESSAGE_KEPT)] = ""


class CancelMatchingForm(Form):
    """Which unfinished runs to cancel. Say at least one thing of them. Times are of `scheduled_time`."""

    deployment: ResourceName | None = None
    pool: ResourceName | None = None
    queue: ResourceName | None = None
    types: list[Annotated[StateType, Field(strict=False)]] = Field(default_factory=list, max_length=10)
    tags: list[Tag] = Field(default_factory=list, max_length=10)
    since: Annotated[Instant, Field(strict=False)] | None = None
    until: Annotated[Instant, Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _something_is_said(self) -> CancelMatchingForm:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError("say which runs, by deployment, pool, queue, types, tags, since or until")
        return self

    def filter(self) -> RunFilter:
        return RunFilter(
            deployment=self.deployment,
            pool=self.pool,
            queue=self.queue,
            types=frozenset(self.types),
            tags=frozenset(self.tags),
            since=self.since,
            until=self.until,
        )


class ApiKeyForm(Form):
    """A new API key."""

    name: ResourceName
    scope: Annotated[Scope, Field(strict=False)]
    expires: Annotated[Instant, Field(strict=False)] | None = None


class CallbackForm(BaseModel):
    """What a runner sends. Keys that are not known are passed over: a runner may be newer than the API."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True)

    instance: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="Made at random by each process; tells containers of one attempt apart."
    )


class StateForm(CallbackForm):
    """What a container says of itself. Long texts are cut, never refused: an end must not be lost."""

    state: Annotated[Word, Field(strict=False)]
    exit_code: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    signalled: bool = False
    message: str = ""
    log_tail: str = ""

    def word(self) -> StateWord:
        return StateWord(
            state=self.state,
            instance=self.instance,
            exit_code=self.exit_code,
            signalled=self.signalled,
            message=self.message[:MESSAGE_KEPT],
            log_tail=self.log_tail,
        )
