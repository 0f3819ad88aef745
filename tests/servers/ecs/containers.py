"""The containers of one task: made, started, listened to, stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from tests.servers.ecs.answers import Json
from tests.servers.ecs.theirs import apis, ecs, logs, responses, rest_apis

DAY_SECONDS = 86400


class NotStarted(Exception):
    """`stopped_reason` is the task's, `container_reason` the container's, if it came so far."""

    def __init__(self, stopped_reason: str, container_reason: str | None = None) -> None:
        super().__init__(stopped_reason)
        self.stopped_reason, self.container_reason = stopped_reason, container_reason


@cache
def engine() -> Any:
    """A client whose streams may be silent for long; ministack's own gives up after ten seconds."""
    return import_module("docker").from_env(timeout=DAY_SECONDS)


class Container:
    """One container of a task, with a reader of its output and one who waits for its end."""

    def __init__(self, task: Json, definition: Json, its: Json, override: Json) -> None:
        self._task, self._definition, self._override = task, definition, override
        self._its = {**its, "command": override.get("command", its.get("command"))}
        self._threads: list[threading.Thread] = []
        self._docker: Any = None
        self.essential = bool(its.get("essential", True))
        self.exit_code: int | None = None
        self.has_started = False

    def start(self, ended: Callable[[], None]) -> str:
        """Its id; `ended` is called from another thread. :raises NotStarted:"""
        errors = import_module("docker.errors")
        try:
            engine().images.get(self._its["image"])
            self._docker = engine().containers.create(self._its["image"], **self._arguments())
        except errors.ImageNotFound as exc:
            raise NotStarted(f"CannotPullContainerError: pull image manifest has been retried 1 time(s): "
                             f"failed to resolve ref {self._its['image']}: not found") from exc  # fmt: skip
        except ecs._SecretResolutionError as exc:
            raise NotStarted("ResourceInitializationError: unable to pull secrets or registry auth: "
                             f"execution resource retrieval failed: {exc}") from exc  # fmt: skip
        log = self._log()
        try:
            self._docker.start()
        except errors.APIError as exc:
            raise NotStarted("Task failed to start", f"CannotStartContainerError: {exc.explanation}") from exc
        self.has_started = True
        if log:
            self._in_background(self._forward, log)
        self._in_background(self._wait, ended)
        return str(self._docker.id)

    def stop(self, most_seconds: int) -> None:
        """SIGTERM, and SIGKILL when `stopTimeout` (30 s, or what the definition says) or `most_seconds` are over."""
        if self.has_started and self.exit_code is None:
            self._docker.stop(timeout=min(int(self._its.get("stopTimeout") or 30), most_seconds))

    def kill(self) -> None:
        if self.has_started and self.exit_code is None:
            self._docker.kill("SIGKILL")

    def was_out_of_memory(self) -> bool:
        self._docker.reload()
        return bool(self._docker.attrs["State"]["OOMKilled"])

    def remove(self) -> None:
        """After its output has been read to its end."""
        for thread in self._threads:
            thread.join(10)
        if self._docker is not None:
            # ministack removes what is left when it ends, and may have been first: NotFound, or a 409.
            with contextlib.suppress(import_module("docker.errors").APIError):
                self._docker.remove(v=True, force=True)

    def _arguments(self) -> Json:
        """On the host's network: an emulator or API that listens on 127.0.0.1 is there for it too."""
        arn, cluster = self._task["taskArn"], self._task["clusterArn"]
        environment = {pair["name"]: pair["value"] for pair in self._its.get("environment", ())}
        environment |= ecs._resolve_container_secrets(self._its)
        environment |= {pair["name"]: pair["value"] for pair in self._override.get("environment", ())}
        ecs._register_metadata(
            arn, cluster, self._definition, self._its, self._task["launchType"], environment, True, None
        )  # fmt: skip
        theirs: Json = ecs._build_run_kwargs(
            self._its, self._definition, environment, {}, None, True, arn.rsplit("/", 1)[-1], arn, None, cluster
        )
        unwanted = {"detach", "platform"}
        # No resolver knows the names of the emulator's HTTP APIs.
        hosts = {f"{api}.execute-api.localhost": "127.0.0.1" for api in [*apis._apis, *rest_apis._rest_apis]}
        return (
            {name: value for name, value in theirs.items() if name not in unwanted}
            | self._further()
            | {"extra_hosts": hosts}
        )

    def _further(self) -> Json:
        """What ministack leaves out of a container definition."""
        its = self._its
        memory = self._override.get("memory") or its.get("memory")
        wanted = {
            "entrypoint": its.get("entryPoint"),
            "working_dir": its.get("workingDirectory"),
            "user": its.get("user"),
            "mem_limit": f"{memory}m" if memory else None,
            "init": its.get("linuxParameters", {}).get("initProcessEnabled"),
        }
        return {name: value for name, value in wanted.items() if value}

    def _log(self) -> Json | None:
        """Where its output goes, if it goes to CloudWatch Logs. :raises NotStarted: there is no such group."""
        log: Json | None = ecs._awslogs_config(self._its, self._task["taskArn"].rsplit("/", 1)[-1], self._docker.id)
        if log is None:
            return None
        with responses.request_scope(responses.get_account_id(), log["region"] or responses.get_region()):
            if not ecs._ensure_awslogs_stream(log):
                raise NotStarted(
                    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 "
                    "times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log "
                    "group does not exist. : exit status 1"
                )
        return log

    def _forward(self, log: Json) -> None:
        """Line by line; who follows Docker's log of one that ends at once may miss it, and reads it at the end."""
        rest, told = b"", 0
        with responses.request_scope(responses.get_account_id(), log["region"] or responses.get_region()):
            for chunk in self._docker.logs(stream=True, follow=True):
                *lines, rest = (rest + chunk).split(b"\n")
                self._put(log, lines)
                told += len(lines)
            self._docker.wait(timeout=DAY_SECONDS)
            self._put(log, self._docker.logs().split(b"\n")[told:])

    def _put(self, log: Json, lines: list[bytes]) -> None:
        moment = int(time.time() * 1000)
        events = [{"timestamp": moment, "message": line.decode(errors="replace")} for line in lines if line]
        if events:
            logs._put_log_events({"logGroupName": log["group"], "logStreamName": log["stream"], "logEvents": events})

    def _wait(self, ended: Callable[[], None]) -> None:
        self.exit_code = self._docker.wait(timeout=DAY_SECONDS)["StatusCode"]
        ended()

    def _in_background(self, work: Callable[..., None], *arguments: Any) -> None:
        account, region = responses.get_account_id(), responses.get_region()

        def scoped() -> None:
            with responses.request_scope(account, region):
                work(*arguments)

        thread = threading.Thread(target=scoped, daemon=True)
        if work == self._forward:
            self._threads.append(thread)
        thread.start()
