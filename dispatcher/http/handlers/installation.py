"""The installation itself: health, templates, the runner's source, API keys."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from dispatcher import api_keys, registry, runner
from dispatcher.documents import from_document
from dispatcher.errors import InvalidInput, NotFound, RecordChanged
from dispatcher.http import showing
from dispatcher.http.bodies import ApiKeyForm, PageQuery
from dispatcher.http.calls import Call
from dispatcher.http.messages import Reply
from dispatcher.http.paging import named_cursor
from dispatcher.http.views import (
    ApiKeyCreated,
    ApiKeyPage,
    HealthStatus,
    HealthView,
    TemplateView,
)
from dispatcher.ports import Record, Store

INSTALLATION = "installation"


def show_health(call: Call) -> Reply:
    installation = installation_of(call.context.store)
    return Reply(view=HealthView(status=HealthStatus.OK, version=version(), installation=installation))


def installation_of(store: Store) -> str:
    """The store's own id, made by the first who asks."""
    record = store.get(INSTALLATION, "id")
    if record is None:
        try:
            record = store.put(Record(INSTALLATION, "id", {"id": str(uuid4())}))
        except RecordChanged:
            return installation_of(store)
    return str(record.body["id"])


@cache
def version() -> str:
    try:
        return metadata.version("pushpool")
    except metadata.PackageNotFoundError:
        return "0"


def show_template(_: Call, *, type: str) -> Reply:  # noqa: A002 - it is the name in the path
    try:
        registry.check_type(type)
        return Reply(view=TemplateView(type=type, base_job_template=registry.template(type)))
    except InvalidInput as exc:
        raise NotFound(str(exc)) from exc


def show_runner(_: Call) -> Reply:
    return Reply(text=_runner(), media_type="text/x-python; charset=utf-8")


@cache
def _runner() -> bytes:
    return Path(runner.__file__).read_bytes()


def show_openapi(_: Call) -> Reply:
    from dispatcher.http.openapi import document_text  # it reads the table that names this function

    return Reply(text=document_text())


def list_keys(call: Call, *, query: PageQuery) -> Reply:
    with named_cursor():
        page = call.context.store.list(api_keys.KIND, after=query.cursor, limit=query.limit)
    items = [showing.api_key(from_document(api_keys.ApiKey, record.body)) for record in page.items]
    return Reply(view=ApiKeyPage(items=items, next=page.after))


def create_key(call: Call, *, form: ApiKeyForm) -> Reply:
    now = call.context.clock.now()
    stored, key = api_keys.create(call.context.store, form.name, form.scope, now=now, expires=form.expires)
    return Reply(201, ApiKeyCreated(**showing.api_key(stored).model_dump(), key=key))


def revoke_key(call: Call, *, key: str) -> Reply:
    revoked = api_keys.revoke(call.context.store, key, now=call.context.clock.now())
    return Reply(view=showing.api_key(revoked))
