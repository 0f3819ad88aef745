"""One workspace: its environments, what has a name in them, its images and sandboxes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.cloud_run.containers import shims
from dispatcher.testing.servers.cloud_run.faults import Hold
from dispatcher.testing.servers.modal import faults, rules, theirs
from dispatcher.testing.servers.modal.images import Build, Registry, id_of
from dispatcher.testing.servers.modal.named import Things
from dispatcher.testing.servers.modal.refusals import Refused, absent, invalid, taken, unauthenticated
from dispatcher.testing.servers.modal.sandboxes import Sandbox

PAGE = 100


@dataclass(slots=True)
class Manner:
    """How the service behaves from now on."""

    build_seconds: float = 0.0  # how long an image takes that is made from now on
    grace_seconds: float = 5.0  # between SIGTERM and SIGKILL
    finds_places: bool = True  # else a sandbox with a GPU waits for one
    gpus_of: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of regions that have not all


@dataclass(slots=True)
class Workspace:
    """`images`: the tags that every registry has; `private`: those that need a secret, and what must be in it."""

    folder: Path
    name: str = "pushpool-test"
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    environments: list[str] = field(default_factory=lambda: ["main"])  # the first is the default
    images: frozenset[str] = frozenset()
    private: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    packages_missing: frozenset[str] = frozenset()
    manner: Manner = field(default_factory=Manner)
    ordered: faults.Faults = field(default_factory=faults.Faults)
    holds: dict[str, Hold] = field(default_factory=dict)  # by the call's name
    requests: list[tuple[str, Any]] = field(default_factory=list)  # each call, once however often it is repeated
    calls: Counter[str] = field(default_factory=Counter)  # each try of each call
    started: list[Sandbox] = field(default_factory=list)  # each whose container was really started
    apps: Things = field(default_factory=lambda: Things("App", "ap"))
    secrets: Things = field(default_factory=lambda: Things("Secret", "st"))
    volumes: Things = field(default_factory=lambda: Things("Volume", "vo"))
    mounts: Things = field(default_factory=lambda: Things("Mount", "mo"))
    builds: dict[str, Build] = field(default_factory=dict)
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    changing: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        shims(self.folder / "bin")

    def authenticate(self, token_id: str, token_secret: str) -> None:
        """:raises Refused:"""
        if not token_id or self.tokens.get(token_id) != token_secret:
            raise unauthenticated()

    def environment(self, name: str) -> str:
        """:raises Refused:"""
        found = name or self.environments[0]
        if found not in self.environments:
            raise absent("Environment", found)
        return found

    # images

    def image(self, definition: Any) -> tuple[Build, bool]:
        """The image with this content, and whether it is made now; one that failed is tried anew. :raises Refused:"""
        for base in definition.base_images:
            if not self._built(base.image_id):
                raise Refused("FAILED_PRECONDITION", f"Base image {base.image_id} has not been built.")
        image_id = id_of(definition)
        with self.changing:
            known = self.builds.get(image_id)
            if known is not None and not known.has_failed:
                return known, False
            registry = Registry(self.images, self.private, self.packages_missing)
            why = registry.error(definition, self._credentials(definition))
            ready_at = time.monotonic() + self.manner.build_seconds
            made = self.builds[image_id] = Build(image_id, theirs.copy_of(definition), ready_at, why)
            return made, True

    def build(self, image_id: str) -> Build:
        """:raises Refused:"""
        if image_id not in self.builds:
            raise absent("Image", image_id)
        return self.builds[image_id]

    # sandboxes

    def create(self, app_id: str, definition: Any, tags: dict[str, str], told: dict[str, str], version: int) -> Sandbox:
        """Its container has been started, unless it waits for a place. :raises Refused:"""
        app = self.apps.get(app_id)
        rules.check_definition(definition, self.manner.gpus_of)
        rules.check_tags(tags)
        rules.check_environment(told)
        for mount in definition.volume_mounts:
            self.volumes.get(mount.volume_id)
        if not self._built(definition.image_id):
            raise invalid(f"Image {definition.image_id} has not been built.")
        with self.changing:
            if definition.name and self._running(app_id, definition.name) is not None:
                raise taken("Sandbox", definition.name)
            made = self._new_sandbox(app_id, app.environment, definition, tags, told, version)
            self.sandboxes[made.id] = made
            if version == 2 or self.manner.finds_places:
                made.begin()
                self.started.append(made)
        return made

    def sandbox(self, sandbox_id: str) -> Sandbox:
        """:raises Refused:"""
        if sandbox_id not in self.sandboxes:
            raise absent("Sandbox", sandbox_id)
        return self.sandboxes[sandbox_id]

    def of_task(self, task_id: str) -> Sandbox:
        """:raises Refused:"""
        found = next((each for each in self.sandboxes.values() if each.task_id == task_id), None)
        if found is None:
            raise absent("Task", task_id)
        return found

    def sandbox_named(self, request: Any, version: int) -> Sandbox:
        """The one that runs, or the youngest that has ended if that is asked for of the second version.

        Each version's call knows its own (`modal.sandbox._sandbox`, from_name). :raises Refused:
        """
        environment = self.environment(request.environment_name)
        app = self.apps.named(environment, request.app_name)
        if app is None:
            raise absent("App", request.app_name, environment)
        with self.changing:
            found = [
                each for each in self.sandboxes.values()
                if (each.app_id, each.name, each.version) == (app.id, request.sandbox_name, version)
                and (not each.has_ended or (request.include_terminated and version == 2))
            ]  # fmt: skip
        if not found:
            raise absent("Sandbox", request.sandbox_name, environment)
        return found[-1]

    def listed(self, request: Any, versions: tuple[int, ...]) -> list[Sandbox]:
        """A page, the youngest first. :raises Refused:"""
        environment = self.environment(request.environment_name)
        wanted = {tag.tag_name: tag.tag_value for tag in request.tags}
        with self.changing:
            found = [
                each for each in self.sandboxes.values()
                if each.version in versions
                and wanted.items() <= each.tags.items()
                and (request.include_finished or not each.has_ended)
                and (each.created_at < request.before_timestamp or not request.before_timestamp)
                and self._is_in(each, request.app_id, environment)
            ]  # fmt: skip
        return sorted(found, key=lambda each: each.created_at, reverse=True)[:PAGE]

    def close(self) -> None:
        """Every container is killed."""
        self.manner.grace_seconds = 0.0
        living = [each for each in self.sandboxes.values() if not each.has_ended]
        for each in living:
            each.terminate()
        for each in living:
            each.join(5)

    def _is_in(self, sandbox: Sandbox, app_id: str, environment: str) -> bool:
        return sandbox.app_id == app_id if app_id else self.apps.get(sandbox.app_id).environment == environment

    def _built(self, image_id: str) -> bool:
        build = self.builds.get(image_id)
        return build is not None and build.is_done and not build.error

    def _credentials(self, definition: Any) -> dict[str, str]:
        secret_id = definition.image_registry_config.secret_id
        return self.secrets.get(secret_id).content if secret_id else {}

    def _running(self, app_id: str, name: str) -> Sandbox | None:
        same = (each for each in self.sandboxes.values() if (each.app_id, each.name) == (app_id, name))
        return next((each for each in same if not each.has_ended), None)

    def _new_sandbox(
        self, app_id: str, environment: str, definition: Any, tags: dict[str, str], told: dict[str, str], version: int
    ) -> Sandbox:
        sandbox_id = theirs.newer_id("sb") if version == 2 else theirs.new_id("sb")
        task_id = theirs.newer_id("ta", "V") if version == 2 else theirs.new_id("ta")
        own = {"MODAL_SANDBOX_ID": sandbox_id, "MODAL_TASK_ID": task_id, "MODAL_ENVIRONMENT": environment}
        return Sandbox(
            sandbox_id, task_id, version, app_id, theirs.copy_of(definition), tags, {**own, **told},
            folder=self.folder / "containers" / sandbox_id, bin_folder=self.folder / "bin",
            grace_seconds=lambda: self.manner.grace_seconds,
        )  # fmt: skip
