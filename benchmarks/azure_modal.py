"""`make bench-azure-modal`: what pools on Azure and Modal cost a dispatcher, and how much of Azure's quota they use.

The adapters and the clouds' own clients are the real ones; the clouds are this machine's. Azure's counts the creations
and deletions of any hour and any five minutes, and refuses what is more; only the clocks are moved by hand.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from adapters.stores.sqlite import open_store
from benchmarks.bench import DEPLOYMENT, PEAK, POOL, NoWakes, Row, shown, timed
from dispatcher import job_templates, records, registry
from dispatcher.catalogue import deployments, flow_runs
from dispatcher.catalogue.queues import put_queue
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.forms import DeploymentForm, RunForm, WorkQueueForm
from dispatcher.pools import WorkPool
from dispatcher.ports import Accepted, Infrastructure, Job, Submission
from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.modal import ModalApi, modal
from dispatcher.tokens import KeyRing

ACI, MODAL = "azure-container-instance:push", "modal:push"
SAMPLES, HOURS, DUE, LIMIT = 7, 6, 2500, 60
MINUTE = timedelta(minutes=1)
_COLD = """
import sys, time
start = time.perf_counter()
from dispatcher import registry
from dispatcher.errors import Unreachable
from dispatcher.runs import Target
adapter = registry.infrastructure(sys.argv[1], {})
adapter.parse_event({})
if sys.argv[2] == "asks":
    adapter.find(Target(sys.argv[1], *sys.argv[3:]), "bench", 1, 1)
print(time.perf_counter() - start, *peak())
assert sys.argv[2] == "asks" or not {"modal", "azure.identity", "azure.mgmt"} & set(sys.modules)
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder:
        shown("Pools on Azure and Modal", _rows(Path(folder)))


def _rows(folder: Path) -> Iterator[Row]:
    with azure(folder) as azure_api, modal(folder) as modal_api:
        os.environ.update({**azure_api.environment(), **modal_api.environment()})
        places = {
            ACI: (azure_api.subscription.id, azure_api.region, azure_api.resource_group),
            MODAL: ("", "", "bench"),
        }
        for kind, place in places.items():
            for what, how in (("is loaded", "loads"), ("has asked its cloud once", "asks")):
                seconds, kib = _median([_probe(kind, how, *place) for _ in range(SAMPLES)])
                yield Row(f"{kind}, cold, until it {what}", f"{seconds:.2f} s, {kib / 1024:.0f} MiB")
        yield Row("calls of Azure for a run, from submission to clean-up", _calls(ACI, azure_api, _of_azure(azure_api)))
        yield Row("calls of Modal for a run", _calls(MODAL, modal_api, {"image": modal_api.image}))
    yield from _quota(folder)


def _probe(*arguments: str) -> list[float]:
    command = [sys.executable, "-c", PEAK + _COLD, *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(number) for number in said.split()]


def _median(measured: list[list[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*measured, strict=True)]


def _of_azure(api: AzureApi) -> dict[str, Any]:
    place = {"subscription_id": api.subscription.id, "resource_group_name": api.resource_group, "region": api.region}
    return {**place, "image": api.image}


def _calls(kind: str, api: AzureApi | ModalApi, variables: Mapping[str, Any]) -> str:
    """Of a second run: the first has made what runs share."""
    adapter = registry.infrastructure(kind, {})
    _run(kind, adapter, variables)
    before = api.calls()
    _run(kind, adapter, variables)
    told = {name: count - before.get(name, 0) for name, count in api.calls().items() if count > before.get(name, 0)}
    return ", ".join(f"{name} {count}" for name, count in told.items())


def _run(kind: str, adapter: Infrastructure, variables: Mapping[str, Any]) -> None:
    """One that its runner reports the end of, so that nobody asks the cloud."""
    run_id = str(uuid4())
    job = Job(
        pool="bench",
        run_id=run_id,
        run_name="bench",
        deployment="bench",
        attempt=1,
        submit_seq=1,
        configuration=job_templates.render(
            registry.template(kind), {**variables, "command": ["true"], "runner": False}
        ),
        environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": "1"},
    )
    request = adapter.request(job)
    outcome = adapter.submit(Submission(run_id, 1, 1, request, "token"))
    assert isinstance(outcome, Accepted), outcome
    adapter.cleanup(request.target, outcome.handle)


def _quota(folder: Path) -> Iterator[Row]:
    """More runs than may start, for some hours, a tick a minute: they end at once, and their groups are deleted."""
    clock = HandClock(datetime.now(UTC))
    with azure(folder / "quota", now=clock.now) as api:
        os.environ.update(api.environment())
        adapter = registry.infrastructure(ACI, {})
        store = open_store(str(folder / "quota.db"))
        context = Context(store, lambda _: adapter, NoWakes(), KeyRing.generate(), clock, "https://api.example")
        _install(context, _of_azure(api))
        for _ in range(DUE):
            flow_runs.create_run(context, DEPLOYMENT, RunForm())
        dispatcher = Dispatcher(context)
        took = timed(lambda: _hours(dispatcher, clock))
        dispatcher.close()
        started, refused = len(api.requests()), api.subscription.refused
    allowed = HOURS * 300
    measured = f"{started:,} started in {HOURS} h, {started / allowed:.1%} of the quota ({took:.0f} s here)"
    yield Row("more due runs than Azure lets start", measured, "≥ 95 %")
    yield Row("creations and deletions of those that Azure throttled", str(refused["TooManyRequests"]), "0")
    yield Row("creations that found 100 groups there, and were tried again", str(refused["ContainerGroupQuotaReached"]))


def _hours(dispatcher: Dispatcher, clock: HandClock) -> None:
    for _ in range(HOURS * 60):
        while (at := dispatcher.tick(until=clock.now() + 2 * MINUTE)[0].come_back) is not None and at <= clock.now():
            pass  # as a wake would ask for
        clock.move(MINUTE)


def _install(context: Context, variables: Mapping[str, Any]) -> None:
    now = context.clock.now()
    pool = WorkPool(
        name=POOL, type=ACI, created=now, updated=now, base_job_template=registry.template(ACI),
        variables={**variables, "runner": False}, concurrency_limit=LIMIT,
    )  # fmt: skip
    records.write(context.store, pool)
    put_queue(context, POOL, "default", WorkQueueForm())
    deployments.put_deployment(context, DEPLOYMENT, DeploymentForm(pool=POOL, command=["true"]))


if __name__ == "__main__":
    main()
