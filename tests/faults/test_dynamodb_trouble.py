"""What DynamoDB Local never does: throttle, conflict, lose replies, answer in parts. Each is told from a lost race."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from adapters import aws
from adapters.stores.dynamodb import DynamoStore
from dispatcher.errors import AdmissionRefused, RunChanged, StoreUnavailable, StoreUnusable
from dispatcher.ports import RunFilter, Store
from dispatcher.runs import FlowRun, Slot, pool_limit
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    end,
    make_admission,
    make_cursor,
    make_outbox_entry,
    make_record,
    make_run,
    park,
    parked,
    start,
)
from dispatcher.testing.store_steps import STEPS, admits_and_ends, keeps_records

Fault = Callable[[Any], Any]


class Line:
    """The line between a client and DynamoDB: what is sent over it goes wrong as it is told."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.faults: list[Fault] = []
        self.forever: Fault | None = None
        self.sent: list[str] = []
        client.meta.events.register("before-send.dynamodb.*", self._send)

    def fail(self, *faults: Fault) -> None:
        """The next requests, one after the other."""
        self.faults += faults

    def _send(self, request: Any, **_: Any) -> Any:
        self.sent.append(request.headers["X-Amz-Target"].decode().partition(".")[2])
        fault = self.faults.pop(0) if self.faults else self.forever
        return None if fault is None else fault(request)

    # faults

    def lost_reply(self, request: Any) -> Any:
        """It is done, and nobody hears of it."""
        self.client._endpoint.http_session.send(request)
        raise ReadTimeoutError(endpoint_url=request.url)

    def lost_request(self, request: Any) -> Any:
        raise ReadTimeoutError(endpoint_url=request.url)

    def not_reached(self, request: Any) -> Any:
        raise ConnectTimeoutError(endpoint_url=request.url)


class Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def says(code: str, *, status: int = 400, **more: Any) -> Fault:
    """DynamoDB answers with an error."""

    def answer(request: Any) -> AWSResponse:
        body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told to", **more})
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, Body(body.encode()))

    return answer


def cancelled(*codes: str) -> Fault:
    return says("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


THROTTLES = [
    says("ProvisionedThroughputExceededException"),
    says("ThrottlingException"),
    says("RequestLimitExceeded"),
    says("InternalServerError", status=500),
    says("ServiceUnavailable", status=503),
]


@pytest.fixture
def line(dynamodb: Any, table: str) -> Iterator[Line]:
    client = aws.client("dynamodb", connections=40)
    yield Line(client)
    client.close()


@pytest.fixture
def store(line: Line, table: str) -> DynamoStore:
    store = DynamoStore(table, client=line.client, wait_seconds=20)
    store.create_run(make_run(id="warm"))  # so that what is done once a process is done
    return store


@pytest.mark.parametrize("fault", [*THROTTLES, says("TransactionConflictException")], ids=lambda _: "")
def test_what_passes_by_itself_is_tried_again(line: Line, store: DynamoStore, fault: Fault) -> None:
    run = store.create_run(make_run())
    line.fail(fault, fault)

    store.move(park(run))
    line.fail(fault)
    entries = store.active(POOL)

    assert store.get_run(run.id) == park(run).after
    assert not entries


@pytest.mark.parametrize(
    "fault", [says("ThrottlingException"), cancelled("TransactionConflict", "None")], ids=["t", "c"]
)
def test_what_does_not_pass_is_said_in_the_end(line: Line, table: str, fault: Fault) -> None:
    store = DynamoStore(table, client=line.client, wait_seconds=0.3)
    run = store.create_run(make_run())
    line.forever = fault

    with pytest.raises(StoreUnavailable, match=f"{table}.*try again"):
        store.admit([make_admission(run, slot="0")])

    line.forever = None
    assert store.get_run(run.id) == run
    assert not store.active(POOL)


def test_a_conflict_is_no_lost_race(line: Line, store: DynamoStore) -> None:
    run = store.create_run(make_run())
    admission = make_admission(run, slot="0")
    line.fail(lambda request: None, cancelled("TransactionConflict", "None"), cancelled("None", "ThrottlingError"))

    store.admit([admission])

    assert store.get_run(run.id) == admission.after
    assert line.sent.count("TransactWriteItems") == 3


def test_a_lost_race_is_told_though_there_was_a_conflict_too(line: Line, store: DynamoStore) -> None:
    runs = [store.create_run(make_run()) for _ in range(2)]
    batch = [make_admission(run, slot=str(number)) for number, run in enumerate(runs)]
    codes = ("ConditionalCheckFailed", "TransactionConflict", "None", "ConditionalCheckFailed")
    line.fail(lambda request: None, cancelled(*codes))

    with pytest.raises(AdmissionRefused) as refused:
        store.admit(batch)

    assert refused.value.changed == {runs[0].id}
    assert refused.value.taken == {Slot(pool_limit(POOL), "1")}


# lost replies: the step was made, and its maker is told so


@pytest.mark.parametrize("step", STEPS)
def test_a_step_whose_every_reply_is_lost_once_is_made_once(
    line: Line, store: DynamoStore, step: Callable[[Store], None]
) -> None:
    faults = {"lost": True}

    def every_other(request: Any) -> Any:
        faults["lost"] = not faults["lost"]
        return None if faults["lost"] else line.lost_reply(request)

    line.forever = every_other

    step(store)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_whose_every_request_is_lost_once_is_made(
    line: Line, store: DynamoStore, step: Callable[[Store], None]
) -> None:
    faults = {"lost": True}

    def every_other(request: Any) -> Any:
        faults["lost"] = not faults["lost"]
        return None if faults["lost"] else line.lost_request(request)

    line.forever = every_other

    step(store)


def test_who_hears_nothing_and_was_beaten_is_told_so(line: Line, store: DynamoStore, dynamodb: Any, table: str) -> None:
    run = admitted(store, make_run())
    other = DynamoStore(table, client=dynamodb)

    def beaten(request: Any) -> Any:
        other.move(end(run))
        return line.lost_request(request)

    line.fail(beaten)

    with pytest.raises(RunChanged):
        store.move(start(run))

    assert store.get_run(run.id) == end(run).after


def test_an_unreached_dynamodb_is_said_to_be_so(line: Line, table: str) -> None:
    store = DynamoStore(table, client=line.client, wait_seconds=0.2)
    line.forever = line.not_reached

    with pytest.raises(StoreUnavailable, match="ConnectTimeoutError"):
        store.get("work-pool", "p")


def test_who_is_not_allowed_is_told_what(line: Line, store: DynamoStore) -> None:
    line.fail(says("AccessDeniedException"))

    with pytest.raises(StoreUnusable, match=r"dynamodb:Query is not allowed.*policy"):
        store.active(POOL)


# answers in parts


def test_what_a_batch_left_out_is_asked_for_again(line: Line, store: DynamoStore) -> None:
    runs = [store.create_run(make_run()) for _ in range(12)]

    def in_parts(parsed: dict[str, Any], context: Any, **_: Any) -> None:
        """Only the last of the items comes with each answer, as when they are large."""
        name = next(iter(parsed["Responses"]))
        found = parsed["Responses"][name]
        parsed["Responses"][name] = found[-1:]
        if found[:-1]:
            keys = [{key: item[key] for key in ("pk", "sk")} for item in found[:-1]]
            parsed["UnprocessedKeys"] = {name: {"Keys": keys, "ConsistentRead": True}}

    line.client.meta.events.register("after-call.dynamodb.BatchGetItem", in_parts)

    assert store.get_runs([run.id for run in runs]) == {run.id: run for run in runs}
    assert line.sent.count("BatchGetItem") == 12


def test_every_list_goes_on_to_its_last_page(line: Line, store: DynamoStore) -> None:
    def small(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 1

    for number in range(4):
        admitted(store, make_run(), slot=str(number), queue_slot=str(number))
        parked(store, make_run(deployment=f"d{number}"))
        store.put_cursor(make_cursor())
        store.put(make_record(kind="work-queue", key=str(number), parent=POOL))
        store.put_outbox(make_outbox_entry())
    line.client.meta.events.register("provide-client-params.dynamodb.Query", small)

    assert len(store.active(POOL)) == len(store.held("queue/pool/default")) == len(store.parked(POOL)) == 4
    assert len(store.cursors_due(NOW, limit=10)) == len(store.outbox_due(POOL, NOW, limit=10)) == 4
    assert len(store.list("work-queue", parent=POOL).items) == len(store.list("work-queue").items) == 4
    assert len(store.runs(RunFilter()).items) == 9
    assert [run.id for run in map(_run, store.due(POOL, "default", NOW, limit=10).items)] == ["warm"]


def test_what_is_no_index_is_read_as_it_is_now(line: Line, store: DynamoStore) -> None:
    reads: list[dict[str, Any]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in ("GetItem", "Query"):
            reads.append(params)
        elif model.name == "BatchGetItem":
            reads.extend(params["RequestItems"].values())

    line.client.meta.events.register("provide-client-params.dynamodb.*", note)
    keeps_records(store)
    admits_and_ends(store)
    store.held("queue/pool/default")
    store.runs(RunFilter())

    assert len(reads) > 8
    assert all(read.get("ConsistentRead") for read in reads if "IndexName" not in read)


def _run(item: Any) -> FlowRun:
    return make_run(id=item.run_id)
