"""Whether a pool's credentials, project, region, permissions and job are such that runs start; starts nothing.

What may be done is found out with calls about things that do not exist, and with `validateOnly`, which makes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from adapters import google
from adapters.doctor import stand_in
from adapters.failures import Trouble
from adapters.infrastructure.cloud_run import outcomes, places
from adapters.infrastructure.cloud_run.clients import Clients
from adapters.infrastructure.cloud_run.messages import create_request, run_request
from dispatcher.errors import InvalidInput, Misconfigured
from dispatcher.ports import Job, NotNow, PoolUnavailable, Rejected, Request, Unknown

PLACE = "project and region"

Check: TypeAlias = tuple[str, bool, str]
Json: TypeAlias = Mapping[str, Any]

NOBODY = "pushpool-doctor-nothing-is-called-that"
ANY_IMAGE = "us-docker.pkg.dev/cloudrun/container/job:latest"  # Google's own sample
CALL_SECONDS = 10.0


def checks(configuration: Json, request: Callable[[Job], Request], clients: Clients) -> list[Check]:
    """One after the other, as far as what was found allows."""
    try:
        made = request(stand_in(_with_image(configuration)))
    except InvalidInput as error:
        return [("configuration", False, str(error))]
    found: list[Check] = [("configuration", True, "")]
    try:
        clients.jobs(made.target.region)
    except Misconfigured as error:
        return [*found, ("credentials", False, str(error))]
    found.append(("credentials", True, google.principal()))
    return [*found, *_made(made, clients)]


def _with_image(configuration: Json) -> Json:
    """A pool need not have an image nor a command: deployments bring theirs."""
    body = dict(configuration.get("job_body") or {})
    if "spec" in body:
        return _placed(configuration, body, ("spec", "template", "spec", "template", "spec"))
    return _placed(configuration, body, ("template", "template"))


def _placed(configuration: Json, body: dict[str, Any], path: tuple[str, ...]) -> Json:
    part = body
    for key in path:
        part[key] = dict(part.get(key) or {})
        part = part[key]
    first, *others = part.get("containers") or [{}]
    part["containers"] = [{**first, "image": first.get("image") or ANY_IMAGE}, *others]
    return {**configuration, "command": configuration.get("command") or ["true"], "job_body": body}


def _made(request: Request, clients: Clients) -> Iterator[Check]:
    """The calls that runs will make."""
    target, body = request.target, request.body
    parent = places.parent(target.account, target.region)
    nothing = places.job_name(parent, NOBODY)
    execution = f"{nothing}/executions/{NOBODY}"
    how: dict[str, Any] = {"retry": None, "timeout": CALL_SECONDS}
    jobs, executions = clients.jobs(target.region), clients.executions(target.region)
    create = create_request({**body["create_job"], "validateOnly": True})
    looks: list[tuple[str, Callable[[], object]]] = [
        (PLACE, lambda: jobs.get_job(name=nothing, **how)),
        ("starting runs", lambda: jobs.create_job(request=create, **how)),
        ("looking at runs", lambda: executions.get_execution(name=execution, **how)),
        ("listing runs", lambda: next(iter(_few(executions, parent, how)), None)),
        ("reading exit codes", lambda: clients.tasks(target.region).list_tasks(parent=execution, **how)),
        ("stopping runs", lambda: executions.cancel_execution({"name": execution, "validate_only": True}, **how)),
    ]
    if "run_job" in body:
        run = run_request({**body["run_job"], "name": nothing, "validateOnly": True})
        looks.append(("running the shared job", lambda: jobs.run_job(request=run, **how)))
    elif not target.group:
        looks.append(("cleaning up", lambda: jobs.delete_job({"name": nothing, "validate_only": True}, **how)))
    for name, look in looks:
        passed, advice = _looked(name, look)
        yield name, passed, advice
        if not passed and name == PLACE:
            return  # the others would say the same


def _few(executions: Any, parent: str, how: Mapping[str, Any]) -> Any:
    return executions.list_executions({"parent": places.job_name(parent, "-"), "page_size": 1}, **how)


def _looked(name: str, look: Callable[[], object]) -> tuple[bool, str]:
    """That what does not exist is not found is as it should be."""
    try:
        look()
    except google.ERRORS as error:
        failure = google.failure(error)
        if failure.code == "NOT_FOUND":
            return True, ""
        outcome = outcomes.of_failure(failure, name, now=datetime.now(UTC), principal=google.principal())
        match outcome:
            case PoolUnavailable(reason, _):
                return False, reason
            case Rejected(message):
                return False, f"{message}; change the pool's template or variables"
            case NotNow(message, _) | Unknown(message) if failure.trouble is not Trouble.REFUSED:
                return True, f"not checked: {message}"
            case _:
                return True, f"not checked: {failure}"
    return True, ""
