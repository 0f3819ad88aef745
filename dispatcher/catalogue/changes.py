"""Changing a stored deployment, and bringing its cursors and waiting runs into line at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from dispatcher import records, settling
from dispatcher.catalogue.registering import retrying
from dispatcher.context import Context
from dispatcher.deployments import Deployment
from dispatcher.errors import NotFound

SETTLE_AT_ONCE = timedelta(seconds=3)  # what is left then, passes work off


def deployment_named(context: Context, name: str) -> Deployment:
    """:raises NotFound: none, or one that was deleted."""
    deployment = records.read(context.store, Deployment, name)
    if deployment is None or deployment.deleted:
        raise NotFound(f"deployment {name!r} does not exist; `pushpool deployment ls` shows those that do")
    return deployment


def change_deployment(context: Context, name: str, **changes: object) -> Deployment:
    """Change fields of a deployment, and bring its cursors and waiting runs into line. :raises NotFound:"""
    return change_by(context, name, lambda old: replace(old, **changes))  # type: ignore[arg-type]  # its own fields


def change_by(context: Context, name: str, change: Callable[[Deployment], Deployment]) -> Deployment:
    """As `change_deployment`, by a function of the deployment as it is; called again if somebody wrote in between."""

    def work() -> Deployment:
        old = deployment_named(context, name)
        new = change(old)
        if new == old:
            return old
        settling.mark(context, name, context.clock.now())
        return records.write(context.store, replace(new, updated=context.clock.now(), unsettled=True))

    deployment = retrying(work)
    if deployment.unsettled:
        settle_now(context, deployment)
    context.waker.wake(deployment.pool)
    return deployment


def settle_now(context: Context, deployment: Deployment) -> None:
    settling.settle(context, deployment, until=context.clock.now() + SETTLE_AT_ONCE)
