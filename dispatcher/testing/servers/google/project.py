"""A Google Cloud project on this machine, and the test's hand on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.testing.servers import cloud_run
from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.refusals import Refused
from dispatcher.testing.servers.google.issuer import Issuer, issuer
from dispatcher.testing.servers.google.pushing import PushSubscription
from dispatcher.testing.servers.google.secrets import SecretManager
from dispatcher.testing.servers.google.services import add_secrets, add_tasks
from dispatcher.testing.servers.google.tasks import CloudTasks

REGION = "europe-west1"
PROJECT = "pushpool-test"
ACCOUNT = f"invoker@{PROJECT}.iam.gserviceaccount.com"


@dataclass(slots=True)
class GoogleProject:
    """`endpoint` is host:port of all its APIs. `account` is the one service account there is at first."""

    id: str
    endpoint: str
    issuer: Issuer
    tasks: CloudTasks
    secrets: SecretManager
    cloud_run: cloud_run.CloudRunApi
    account: str = ACCOUNT
    subscriptions: list[PushSubscription] = field(default_factory=list)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a function, or whoever else works in the project, is told of where it is."""
        return {
            "GOOGLE_CLOUD_PROJECT": self.id,
            "PUSHPOOL_GOOGLE_EMULATOR": self.endpoint,
            "PUSHPOOL_OIDC_CERTS_URL": self.issuer.certs_url,
        }

    def make_queue(self, name: str = "wakes", **options: Any) -> str:
        """The full name of a new queue of Cloud Tasks."""
        queue = f"projects/{self.id}/locations/{REGION}/queues/{name}"
        self.tasks.make_queue(queue, **options)
        return queue

    def put_secret(self, name: str, value: bytes | str) -> None:
        self.secrets.put(f"projects/{self.id}/secrets/{name}", value)

    def token(self, audience: str, *, email: str = ACCOUNT, **how: Any) -> str:
        """An identity token, as Google's services send one."""
        return self.issuer.token(audience=audience, email=email, **how)

    def close(self) -> None:
        for each in self.subscriptions:
            each.courier.close()

    def push_events_to(self, url: str, *, audience: str = "", **how: Any) -> PushSubscription:
        """From now on, what the audit log says of our jobs; `cloud_run.events_are` holds, doubles or drops it."""
        made = PushSubscription(self.issuer, url, audience=audience or url, email=self.account, **how)
        self.subscriptions.append(made)
        made.courier.start()
        self.cloud_run.listen(made.hear)
        return made


@contextmanager
def google_project(
    folder: Path, *, now: Callable[[], float] = time.time, project: str = PROJECT, **options: Any
) -> Iterator[GoogleProject]:
    """A project while the block lasts; what its containers write is in `folder`. `options`: those of its Cloud Run.

    `now` is what Cloud Tasks goes by. :raises Missing: Google's libraries are not installed.
    """
    secrets = SecretManager()

    def secret(name: str, version: str) -> str | None:
        full = name if name.startswith("projects/") else f"projects/{project}/secrets/{name}"
        return _value(secrets, f"{full}/versions/{version}")

    with ExitStack() as opened:
        issues = opened.enter_context(issuer())
        tasks = CloudTasks(issues, now=now)
        tasks.accounts.add(ACCOUNT)
        images: Mapping[str, list[str]] = {cloud_run.IMAGE: []}
        state = cloud_run.Project(folder, **{"images": images, "id": project, "secret": secret, **options})
        server = theirs.grpc().server(ThreadPoolExecutor(16))
        cloud_run.add_to(server, state)
        add_tasks(server, tasks)
        add_secrets(server, secrets)
        endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        opened.callback(lambda: server.stop(None).wait(5))
        opened.callback(state.close)
        tasks.courier.start()
        opened.callback(tasks.courier.close)
        made = GoogleProject(project, endpoint, issues, tasks, secrets, cloud_run.CloudRunApi(state, endpoint))
        opened.callback(made.close)
        yield made


def _value(secrets: SecretManager, name: str) -> str | None:
    try:
        return secrets.access(name).data.decode()
    except Refused:
        return None
