"""`pushpool.yaml`: work pools, queues and deployments as forms; every mistake in it is told at once, with its place.

Invariant: nothing is guessed. What a form does not take, the file does not take.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from dispatcher import file_checks, registry
from dispatcher.faults import faults_of
from dispatcher.file_checks import Finding
from dispatcher.forms import DeploymentForm, Form, ResourceName, WorkPoolForm, WorkQueueForm
from dispatcher.located import FileProblems, Located, Problem, Steps, load

F = TypeVar("F", bound=Form)


class PoolEntry(WorkPoolForm):
    """A work pool with its queues. `base_job_template` may also be `{file: PATH}`, relative to this file."""

    queues: dict[ResourceName, WorkQueueForm | None] | None = Field(default=None, description="Queues by name.")


class Document(Form):
    """Work pools, queues and deployments for `pushpool apply`."""

    schema_: str | None = Field(default=None, alias="$schema", description="Where this schema is, for editors.")
    work_pools: dict[ResourceName, PoolEntry] | None = Field(default=None, description="Work pools by name.")
    deployments: dict[ResourceName, DeploymentForm] | None = Field(default=None, description="Deployments by name.")


@dataclass(frozen=True, slots=True)
class PushpoolFile:
    """What a file describes. Queues are keyed by pool and name."""

    pools: Mapping[str, WorkPoolForm]
    queues: Mapping[tuple[str, str], WorkQueueForm]
    deployments: Mapping[str, DeploymentForm]
    located: Located

    def problem(self, what: Steps, message: str, path: str = "") -> FileProblems:
        """An error that somebody else found, with its place in this file; `path` is dotted."""
        steps = follow(self.located, what, path)
        return FileProblems([Problem(self.located.key(steps), f"{_thing(what)}{message}")])


def read(
    path: Path,
    *,
    known_pools: Callable[[], Collection[str]] = tuple,
    check_type: Callable[[str], None] = registry.check_type,
) -> PushpoolFile:
    """`known_pools` is asked only if a deployment names a pool that the file does not have.

    :raises FileProblems: everything that is wrong with it.
    """
    located = load(path)
    if not isinstance(located.value, dict) or not located.value:
        said = "is empty" if located.value in (None, {}) else "is no mapping"
        raise FileProblems([Problem(located.place(()), f"{said}; it needs work_pools or deployments")])
    problems = _graft_templates(located, path.parent)
    document = {key: value for key, value in located.value.items() if not key.startswith("x-")}
    located.value = document
    problems += _of_forms(located)
    made = PushpoolFile(
        pools=dict(_sound(located, ("work_pools",), WorkPoolForm)),
        queues=dict(_queues(located)),
        deployments=dict(_sound(located, ("deployments",), DeploymentForm)),
        located=located,
    )
    for finding in _findings(made, known_pools, check_type):
        steps = follow(located, finding.what, finding.path)
        problems.append(Problem(located.key(steps), f"{_thing(finding.what)}{finding.message}"))
    if problems:
        raise FileProblems(problems)
    return made


def _graft_templates(located: Located, folder: Path) -> list[Problem]:
    """Put the templates that stand in files of their own where they are named."""
    problems: list[Problem] = []
    pools = located.value.get("work_pools")
    for name, entry in pools.items() if isinstance(pools, dict) else ():
        reference = entry.get("base_job_template") if isinstance(entry, dict) else None
        if not isinstance(reference, dict) or set(reference) != {"file"}:
            continue
        steps = ("work_pools", name, "base_job_template")
        entry["base_job_template"] = None  # as long as it cannot be read, nothing more is said of it
        if not isinstance(reference["file"], str):
            problems.append(Problem(located.place((*steps, "file")), f"{_thing(steps)}file must be a path"))
            continue
        try:
            located.graft(steps, load(folder / reference["file"]))
        except FileProblems as exc:
            problems += exc.problems
            problems.append(Problem(located.key(steps), f"{_thing(steps)}{reference['file']!r} cannot be used"))
    return problems


def _of_forms(located: Located) -> list[Problem]:
    try:
        Document.model_validate(located.value)
    except ValidationError as exc:
        return [
            Problem(
                located.key(fault.loc) if fault.of_key else located.place(fault.loc),
                f"{_thing(fault.loc)}{fault.message}",
            )
            for fault in faults_of(exc, Document, depth=_depth)
        ]
    return []


def _sound(located: Located, steps: Steps, form: type[F]) -> Iterator[tuple[str, F]]:
    """The entries that are well in themselves."""
    found: Any = located.value
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    for name, entry in found.items() if isinstance(found, dict) else ():
        with suppress(ValidationError):
            yield name, form.model_validate(_alone(entry))


def _alone(entry: Any) -> Any:
    """A pool without its queues; a queue of which nothing is said."""
    if isinstance(entry, dict):
        return {key: value for key, value in entry.items() if key != "queues"}
    return {} if entry is None else entry


def _queues(located: Located) -> Iterator[tuple[tuple[str, str], WorkQueueForm]]:
    pools = located.value.get("work_pools")
    for pool in pools if isinstance(pools, dict) else ():
        for name, form in _sound(located, ("work_pools", pool, "queues"), WorkQueueForm):
            yield (pool, name), form


def _findings(
    file: PushpoolFile, known_pools: Callable[[], Collection[str]], check_type: Callable[[str], None]
) -> Iterator[Finding]:
    for name, pool in file.pools.items():
        yield from file_checks.of_pool(name, pool, check_type)
    yield from file_checks.of_priorities(file.queues)
    for name, deployment in file.deployments.items():
        yield from file_checks.of_deployment(name, deployment, file.pools.get(deployment.pool))
    # A pool that is in the file and has a mistake of its own is no missing pool.
    pools = file.located.value.get("work_pools")
    yield from file_checks.of_foreign_pools(file.deployments, pools if isinstance(pools, dict) else (), known_pools)


def follow(located: Located, what: Steps, path: str) -> Steps:
    """`what` and as much of the dotted `path` as leads somewhere; a key may have dots itself."""
    words = path.split(".") if path else []
    while words:
        for length in range(len(words), 0, -1):
            word = ".".join(words[:length])
            step = int(word) if word.isdecimal() and (*what, int(word)) in located.values else word
            if (*what, step) in located.values:
                what, words = (*what, step), words[length:]
                break
        else:
            return what
    return what


def _depth(steps: Steps) -> int:
    """How many of `steps` name the thing."""
    if steps[2:3] == ("queues",) and len(steps) > 3:
        return 4
    return 2 if len(steps) > 1 and steps[0] in ("work_pools", "deployments") else 0


def _thing(steps: Steps) -> str:
    """`work queue 'high' of 'local': `, or nothing where no thing is named."""
    depth = _depth(steps)
    if depth == 4:
        return f"work queue {steps[3]!r} of {steps[1]!r}: "
    if depth == 2:
        return f"{'work pool' if steps[0] == 'work_pools' else 'deployment'} {steps[1]!r}: "
    return ""


def json_schema() -> dict[str, Any]:
    """For editors: what the file may hold, made of the forms."""
    schema = _untitled(Document.model_json_schema(by_alias=True))
    template = schema["$defs"]["PoolEntry"]["properties"]["base_job_template"]
    template["description"] += " `{file: PATH}` takes it from a JSON or YAML file beside this one."
    schema["patternProperties"] = {"^x-": {"description": "Left alone: a place for anchors."}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pushpool.yaml", **schema}


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of the names; editors show the names already."""
    if isinstance(schema, dict):
        return {
            key: _untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))
        }
    return [_untitled(value) for value in schema] if isinstance(schema, list) else schema
