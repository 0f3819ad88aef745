"""What the Firestore emulator never does: throttle, abort, lose replies. Each is told from a lost race."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import CommitRequest

from adapters.stores.firestore import FirestoreStore
from dispatcher.errors import AdmissionRefused, RecordChanged, RunChanged, StoreUnavailable
from dispatcher.ports import Move, Store
from dispatcher.runs import Slot, amended, pool_limit
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    cancel,
    end,
    make_admission,
    make_record,
    make_run,
    park,
    start,
)
from dispatcher.testing.store_steps import STEPS, WEEK

Go = Callable[[], Any]
Fault = Callable[[Go], Any]
OpenFirestore = Callable[..., FirestoreStore]
Code: TypeAlias = grpc.StatusCode


class Refusal(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """What the line says in the server's place."""

    def __init__(self, code: Code, said: str) -> None:
        super().__init__()
        self._code, self._said = code, said

    def code(self) -> Code:
        return self._code

    def details(self) -> str:
        return self._said

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def result(self) -> NoReturn:
        """An interceptor hands it on as the call's outcome."""
        raise self


class Line(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]  # grpc has no types
    """The line between a client and Firestore: what is sent over it goes wrong as it is told."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.forever: Fault | None = None
        self.sent: list[str] = []
        self.commits: list[CommitRequest] = []

    def fail(self, *faults: Fault) -> None:
        """The next requests, one after the other."""
        self.faults += faults

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self.commits.append(request)
        return self._sent(client_call_details, lambda: continuation(client_call_details, request), whole=_answered)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._sent(
            client_call_details, lambda: continuation(client_call_details, request), whole=lambda call: iter(list(call))
        )

    def _sent(self, details: Any, go: Go, *, whole: Callable[[Any], Any]) -> Any:
        self.sent.append(details.method.rpartition("/")[2])
        fault = self.faults.pop(0) if self.faults else self.forever
        if fault is None:
            return go()
        return fault(lambda: whole(go()))


def _answered(call: Any) -> Any:
    call.result()
    return call


def says(code: Code, said: str = "told to") -> Fault:
    """Firestore answers with an error, and does nothing."""

    def answer(_: Go) -> Any:
        raise Refusal(code, said)

    return answer


def loses_reply(code: Code = Code.UNAVAILABLE) -> Fault:
    """It is done, and nobody hears of it."""

    def answer(go: Go) -> Any:
        go()
        raise Refusal(code, "told to")

    return answer


fine: Fault = lambda go: go()  # noqa: E731


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def far_client(line: Line, firestore: Any, firestore_emulator: str) -> Any:
    """Another client of the same database, over the line."""
    channel = grpc.intercept_channel(grpc.insecure_channel(firestore_emulator), line)
    client = Client(project=firestore.project, credentials=AnonymousCredentials(), database="(default)")
    transport = FirestoreGrpcTransport(host=firestore_emulator, channel=channel)
    client._firestore_api_internal = FirestoreClient(transport=transport)
    return client


@pytest.fixture
def store(line: Line, far_client: Any) -> FirestoreStore:
    store = FirestoreStore(far_client.project, client=far_client, wait_seconds=20)
    store.get("work-pool", "warm")  # so that what is done once a process is done
    line.sent.clear()
    line.commits.clear()
    return store


DEFINITE = [Code.ABORTED, Code.RESOURCE_EXHAUSTED]
PASSING = [*DEFINITE, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNKNOWN, Code.CANCELLED]


@pytest.mark.parametrize("code", PASSING, ids=lambda code: code.name)
def test_what_passes_by_itself_is_tried_again(line: Line, store: FirestoreStore, code: Code) -> None:
    run = store.create_run(make_run())
    line.fail(says(code), says(code))

    store.move(park(run))
    line.fail(says(code))
    entries = store.active(POOL)
    line.fail(says(code))

    assert store.get_run(run.id) == park(run).after
    assert not entries
    assert not line.faults


def test_what_does_not_pass_is_said_in_the_end(line: Line, far_client: Any) -> None:
    store = FirestoreStore(far_client.project, client=far_client, wait_seconds=0.3)
    run = store.create_run(make_run())
    line.forever = says(Code.RESOURCE_EXHAUSTED, "Quota exceeded.")

    with pytest.raises(StoreUnavailable, match=rf"{far_client.project}.*Quota exceeded.*try again"):
        store.admit([make_admission(run, slot="0")])

    line.forever = None
    assert store.get_run(run.id) == run
    assert not store.active(POOL)


def test_a_stream_that_breaks_off_is_read_anew(line: Line, store: FirestoreStore) -> None:
    runs = [store.create_run(make_run()) for _ in range(3)]

    def breaks_off(go: Go) -> Any:
        first, *_ = go()

        def answers() -> Any:
            yield first
            raise Refusal(Code.UNAVAILABLE, "told to")

        return answers()

    line.fail(breaks_off)
    found = store.get_runs([run.id for run in runs])

    assert found == {run.id: run for run in runs}


# lost replies: the step was made, and its maker is told so


@pytest.mark.parametrize(
    "fault", [loses_reply(), says(Code.DEADLINE_EXCEEDED), says(Code.ABORTED)], ids=["r", "q", "a"]
)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_step_of_which_everything_is_lost_once_is_made_once(
    line: Line, store: FirestoreStore, step: Callable[[Store], None], fault: Fault
) -> None:
    turn = {"lost": False}

    def every_other(go: Go) -> Any:
        turn["lost"] = not turn["lost"]
        return fault(go) if turn["lost"] else go()

    line.forever = every_other

    step(store)


def test_who_hears_nothing_and_was_beaten_is_told_so(
    line: Line, store: FirestoreStore, open_firestore: OpenFirestore
) -> None:
    run = admitted(store, make_run())
    other = open_firestore()

    def beaten(_: Go) -> Any:
        other.move(end(run))
        raise Refusal(Code.UNAVAILABLE, "told to")

    line.fail(beaten)

    with pytest.raises(RunChanged):
        store.move(start(run))

    assert store.get_run(run.id) == end(run).after


def test_an_admission_that_was_made_and_overtaken_unheard_is_no_refusal(
    line: Line, store: FirestoreStore, open_firestore: OpenFirestore
) -> None:
    """The run has gone on, so the run no longer says whose admission it was; its slots still do."""
    run = store.create_run(make_run())
    admission, other = make_admission(run, slot="0", queue_slot="0"), open_firestore()

    def overtaken(go: Go) -> Any:
        go()
        other.move(start(admission.after))
        raise Refusal(Code.UNAVAILABLE, "told to")

    line.fail(overtaken)

    store.admit([admission])

    assert store.get_run(run.id) == start(admission.after).after


@pytest.mark.parametrize("code", DEFINITE, ids=lambda code: code.name)
def test_after_a_definite_no_another_with_the_same_effect_is_another(
    line: Line, store: FirestoreStore, open_firestore: OpenFirestore, code: Code
) -> None:
    record, other = store.put(make_record(n=1)), open_firestore()

    def beaten(_: Go) -> Any:
        other.delete(record)
        raise Refusal(code, "told to")

    line.fail(beaten)

    with pytest.raises(RecordChanged):
        store.delete(record)


# lost conditions


def test_a_lost_race_names_all_that_is_in_the_way(store: FirestoreStore, open_firestore: OpenFirestore) -> None:
    runs = [store.create_run(make_run()) for _ in range(3)]
    other = open_firestore()
    other.move(park(runs[0]))
    admitted(other, make_run(), slot="1")

    with pytest.raises(AdmissionRefused) as refused:
        store.admit([make_admission(run, slot=str(number)) for number, run in enumerate(runs)])

    assert refused.value.changed == {runs[0].id}
    assert refused.value.taken == {Slot(pool_limit(POOL), "1")}


def test_a_heartbeat_that_comes_between_is_no_lost_race(
    line: Line, store: FirestoreStore, open_firestore: OpenFirestore
) -> None:
    run = admitted(store, make_run(), slot="0")
    other = open_firestore()
    line.sent.clear()

    def beaten(go: Go) -> Any:
        assert other.beat(run.slots[0], run.id, 1, heard_at=NOW, check_at=WEEK)
        return go()

    line.fail(beaten)
    store.move(end(run))

    assert store.get_run(run.id) == end(run).after
    assert not store.active(POOL)
    assert line.sent[:3] == ["Commit", "BatchGetDocuments", "Commit"]


def test_what_is_always_in_the_way_is_given_up(line: Line, far_client: Any, open_firestore: Any) -> None:
    store = FirestoreStore(far_client.project, client=far_client, wait_seconds=0.3)
    run = admitted(store, make_run(), slot="0")
    other = open_firestore()

    def beaten(go: Go) -> Any:
        other.beat(run.slots[0], run.id, 1, heard_at=NOW, check_at=WEEK)
        return go()

    line.forever = beaten

    with pytest.raises(StoreUnavailable, match="too many others"):
        store.move(end(run))

    line.forever = None
    assert store.get_run(run.id) == run


def test_what_is_remembered_wrong_costs_a_read_and_nothing_else(
    line: Line, store: FirestoreStore, open_firestore: OpenFirestore
) -> None:
    """Another run's slot by now, and this process remembers it as the first one's."""
    first = admitted(store, make_run(), slot="0")
    other = open_firestore()
    other.move(end(first))
    second = admitted(other, make_run(), slot="0")
    read = store.get_run(second.id)
    assert read is not None
    line.sent.clear()

    store.move(end(read))

    assert not store.active(POOL)
    assert line.sent[:2] == ["BatchGetDocuments", "Commit"]


def test_a_slot_put_back_while_its_run_ends_does_not_outlive_it(
    line: Line, store: FirestoreStore, firestore: Any, open_firestore: OpenFirestore
) -> None:
    other = open_firestore()
    run = admitted(other, make_run(), slot="0", queue_slot="0")
    assert store.get_run(run.id) == run
    firestore.document("limits/queue%2Fpool%2Fdefault/slots/0").delete()

    def put_back(go: Go) -> Any:
        other.restore_entry(run, WEEK)
        return go()

    line.fail(fine, put_back)
    store.move(end(run))

    assert not store.active(POOL)
    assert store.held("queue/pool/default") == {}


def test_of_many_moves_one_that_is_beaten_does_not_take_the_others_along(
    line: Line, store: FirestoreStore, open_firestore: OpenFirestore
) -> None:
    runs = [store.create_run(make_run()) for _ in range(20)]
    other = open_firestore()
    line.commits.clear()

    def beaten(go: Go) -> Any:
        other.move(park(runs[3]))
        return go()

    line.fail(beaten)
    lost = store.move_each([cancel(run) for run in runs])

    assert lost == {runs[3].id}
    assert [len(commit.writes) for commit in line.commits] == [20, 19]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_no_commit_locks_anything(line: Line, store: FirestoreStore, step: Callable[[Store], None]) -> None:
    """A transaction would: each write has its condition instead, but for what is written under a name of its own."""
    step(store)

    assert set(line.sent) <= {"Commit", "BatchGetDocuments", "RunQuery"}
    assert not any(commit.transaction for commit in line.commits)
    bare = {
        (write.delete or write.update.name).split("/documents/")[1].split("/")[0]
        for commit in line.commits
        for write in commit.writes
        if not write.current_document._pb.WhichOneof("condition_type")
    }
    assert bare <= {"requests", "owed"}


def test_of_moves_that_are_too_large_together_each_is_made_alone(line: Line, store: FirestoreStore) -> None:
    runs = [store.create_run(make_run()) for _ in range(3)]
    line.fail(says(Code.INVALID_ARGUMENT, "Transaction too big. Decrease transaction size."))

    assert store.move_each([Move(run, amended(run, late_noticed=True)) for run in runs]) == frozenset()

    assert all(run.late_noticed for run in store.get_runs([run.id for run in runs]).values())
