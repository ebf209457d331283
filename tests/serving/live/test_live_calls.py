"""The live calls over a real socket: what they answer, and what they refuse."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Gate
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from engine.errors import InvalidArgumentError, NoBundleError, NoHistoryError, RemoteError, UnknownCustomerError
from engine.executors import InlineExecutor
from engine.ingest import ingest
from engine.instants import DAY_US
from engine.schema import EventKind
from engine.storage import remove_tree
from serving.answers import CustomerAnswer, CustomerEvent, IneligibleReason
from serving.client import EbbtideClient
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.rescoring.rescore import rescore
from serving.service.server import Server, ServerConfig
from serving.wire.messages import timestamp
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.server_thread import ServerThread

WHO = "customer 17"
BOUGHT = CustomerEvent(time_us=TRAINED_AS_OF_US + 3600_000_000, amount_minor=1250, store_id="north")
OLD_US, FAR_US = TRAINED_AS_OF_US - DAY_US, TRAINED_AS_OF_US + 500 * DAY_US


@pytest.fixture(scope="module")
def live_server(server_thread: ServerThread, scored_store: Path) -> Iterator[Server]:
    server = server_thread.start(ServerConfig(store=scored_store, listen="127.0.0.1:0", poll_interval_s=0.05, stop_grace_s=1.0))
    yield server
    server_thread.stop(server)


@pytest.fixture
def client(live_server: Server) -> Iterator[EbbtideClient]:
    with EbbtideClient(live_server.target) as connected:
        yield connected


@pytest.fixture(scope="module")
def stub(live_server: Server) -> Iterator[pb_grpc.ScoringServiceStub]:
    with grpc.insecure_channel(live_server.target) as channel:
        yield pb_grpc.ScoringServiceStub(channel)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_at_the_snapshots_own_instant_everybody_scores_as_in_the_snapshot(client: EbbtideClient) -> None:
    rows = client.batch().read_all().to_pylist()
    assert len(rows) > 100
    for row in rows:
        answer = client.score(row["customer_id"], as_of_us=TRAINED_AS_OF_US)
        assert answer.customer is not None
        assert answer.customer.churn_probability == pytest.approx(row["churn_probability"], abs=1e-6)
        assert answer.customer.risk_score == pytest.approx(row["risk_score"], abs=1e-4)
        assert answer.customer.expected_days_to_purchase == pytest.approx(row["expected_days_to_purchase"], rel=1e-5)
        assert (answer.customer.grade.name, answer.customer.tier.name.lower()) == (row["grade"], row["tier"])
        for name in ("customer_id", "store_id", "last_purchase_us", "num_orders"):
            assert getattr(answer.customer, name) == row[name]


def test_a_purchase_at_the_till_lowers_the_risk_and_is_told_of(client: EbbtideClient) -> None:
    before, after = client.score(WHO), client.score(WHO, recent_events=[BOUGHT])
    assert before.customer is not None
    assert after.customer is not None
    assert not before.context.is_live
    assert (after.context.is_live, after.context.num_events_added) == (True, 1)
    assert after.context.as_of_us == BOUGHT.time_us + 1  # just after the event, as nothing else was asked for
    assert after.context.snapshot_id == before.context.snapshot_id
    assert (after.context.model_version, after.context.model_hash) == (before.context.model_version, before.context.model_hash)
    assert after.customer.num_orders == before.customer.num_orders + 1
    assert (after.customer.last_purchase_us, after.customer.store_id) == (BOUGHT.time_us, "north")
    assert after.customer.churn_probability < before.customer.churn_probability


def test_a_late_event_is_spoken_of_as_of_the_snapshot(client: EbbtideClient) -> None:
    late = CustomerEvent(time_us=OLD_US, amount_minor=990)
    assert client.score(WHO, recent_events=[late]).context.as_of_us == TRAINED_AS_OF_US


@pytest.mark.parametrize("horizon_days", [1, 14, 365])
def test_another_horizon_changes_the_probability_and_not_the_grade(client: EbbtideClient, horizon_days: int) -> None:
    asked, default = (client.score(WHO, horizon_days=days, recent_events=[BOUGHT]) for days in (horizon_days, None))
    assert asked.customer is not None
    assert default.customer is not None
    assert asked.context.horizon_days == horizon_days
    assert (asked.customer.churn_probability > default.customer.churn_probability) == (horizon_days < 30)
    assert asked.customer.risk_score == default.customer.risk_score


def test_a_customer_leaves_eligibility_as_time_goes_on(client: EbbtideClient) -> None:
    answer = client.score(WHO, as_of_us=TRAINED_AS_OF_US + 300 * DAY_US)
    assert (answer.eligible, answer.ineligible_reason) == (False, IneligibleReason.NO_RECENT_PURCHASE)
    before_all = client.score("customer 16", as_of_us=TRAINED_AS_OF_US - 364 * DAY_US)
    assert before_all.ineligible_reason is IneligibleReason.NO_PURCHASE_BEFORE_AS_OF
    assert before_all.context.is_live


def test_a_newcomer_is_scored_from_what_the_till_knows(client: EbbtideClient) -> None:
    with pytest.raises(UnknownCustomerError):
        client.score("nobody", as_of_us=TRAINED_AS_OF_US)
    answer = client.score("nobody", recent_events=[BOUGHT])
    alone = client.score_history([BOUGHT], customer_id="nobody")
    assert answer == alone
    assert answer.customer is not None
    assert (answer.customer.customer_id, answer.customer.num_orders) == ("nobody", 1)
    visit = client.score_history([CustomerEvent(time_us=OLD_US, kind=EventKind.VISIT)])
    assert visit.ineligible_reason is IneligibleReason.NO_PURCHASE_BEFORE_AS_OF


def event(**fields: Any) -> pb.Event:
    return pb.Event(**{"time": timestamp(OLD_US), "kind": pb.EVENT_KIND_PURCHASE, "amount_minor": 1, **fields})


def without(name: str, **fields: Any) -> pb.Event:
    message = event(**fields)
    message.ClearField(name)  # type: ignore[arg-type]
    return message


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (without("time"), "time"),
        (event(time=timestamp(TRAINED_AS_OF_US)), "time"),
        (event(time=Timestamp(seconds=1, nanos=-1)), "time"),
        (event(time=Timestamp(seconds=-2_300_000_000)), "time"),  # 1897: an ingest would not believe it
        (event(time=Timestamp(seconds=10**15)), "time"),
        (without("kind"), "kind"),
        (event(kind=8), "kind"),
        (without("amount_minor"), "amount_minor"),
        (event(amount_minor=-1), "amount_minor"),
        (event(amount_minor=10**13 + 1), "amount_minor"),
        (event(discount_minor=-(10**13) - 1), "discount_minor"),
        (event(quantity=float("nan")), "quantity"),
        (event(quantity=2e9), "quantity"),
        (event(num_lines=-1), "num_lines"),
        (event(num_products=-1), "num_products"),
        (event(num_categories=1_000_001), "num_categories"),
        (event(store_id="ü" * 129), "store_id"),
        (event(channel="c" * 257), "channel"),
        (event(order_id="o" * 257), "order_id"),
        (event(rating=-1), "rating"),
        (event(rating=float("inf")), "rating"),
        (event(kind=pb.EVENT_KIND_FEEDBACK), "rating"),
    ],
)
def test_an_event_out_of_its_limits_is_refused_naming_the_field(
    stub: pb_grpc.ScoringServiceStub, message: pb.Event, field: str
) -> None:
    events, as_of = [event(time=timestamp(OLD_US - 1)), message], timestamp(TRAINED_AS_OF_US)
    for refused, prefix in (
        (
            lambda: stub.ScoreCustomer(pb.ScoreCustomerRequest(customer_id=WHO, recent_events=events, as_of=as_of)),
            "recent_events",
        ),
        (lambda: stub.ScoreHistory(pb.ScoreHistoryRequest(events=events, as_of=as_of)), "events"),
    ):
        assert violated(refused) == f"{prefix}[1].{field}"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ScoreCustomerRequest(customer_id=WHO, as_of=timestamp(TRAINED_AS_OF_US + 401 * DAY_US)), "as_of"),
        (pb.ScoreCustomerRequest(customer_id=WHO, as_of=timestamp(TRAINED_AS_OF_US - 370 * DAY_US)), "as_of"),
        (pb.ScoreCustomerRequest(customer_id=WHO, as_of=Timestamp(nanos=10**9)), "as_of"),
        (pb.ScoreCustomerRequest(customer_id="", as_of=timestamp(TRAINED_AS_OF_US)), "customer_id"),
        (pb.ScoreCustomerRequest(customer_id=WHO, horizon_days=0, as_of=timestamp(TRAINED_AS_OF_US)), "horizon_days"),
        (pb.ScoreCustomerRequest(customer_id=WHO, recent_events=[event()] * 101), "recent_events"),
        (pb.ScoreCustomerRequest(customer_id=WHO, recent_events=[event()] * 2), "recent_events[1].order_id"),
        (
            pb.ScoreCustomerRequest(customer_id=WHO, recent_events=[event(time=timestamp(FAR_US))]),
            "recent_events[0].time",
        ),
        (pb.ScoreHistoryRequest(), "events"),
        (pb.ScoreHistoryRequest(events=[event()] * 10_001), "events"),
        (pb.ScoreHistoryRequest(events=[event()], horizon_days=400), "horizon_days"),
        (pb.ScoreHistoryRequest(events=[event()], customer_id="c" * 257), "customer_id"),
        (pb.ScoreHistoryRequest(events=[event()], as_of=timestamp(OLD_US)), "events[0].time"),
    ],
)
def test_a_request_out_of_its_limits_is_refused_naming_the_field(
    stub: pb_grpc.ScoringServiceStub, request_: Any, field: str
) -> None:
    call = stub.ScoreHistory if isinstance(request_, pb.ScoreHistoryRequest) else stub.ScoreCustomer
    assert violated(lambda: call(request_)) == field


def violated(call: Callable[[], Any]) -> str:
    """The field that a refusal names."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad_request = error_details_pb2.BadRequest()
    status = rpc_status.from_call(caught.value)
    next(detail for detail in status.details if detail.Is(bad_request.DESCRIPTOR)).Unpack(bad_request)
    (violation,) = bad_request.field_violations
    assert caught.value.details() == f"{violation.field}: {violation.description}"
    return str(violation.field)


@pytest.mark.parametrize(("time_us", "num_lines"), [(OLD_US, 2**40), (10**30, 1)])
def test_an_event_that_the_wire_cannot_carry_is_the_callers_mistake(client: EbbtideClient, time_us: int, num_lines: int) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"event: the one with time_us={time_us} cannot be sent"):
        client.score(WHO, recent_events=[CustomerEvent(time_us=time_us, num_lines=num_lines, amount_minor=1)])


def test_the_longest_history_is_taken(client: EbbtideClient) -> None:
    events = [CustomerEvent(time_us=OLD_US - number * 3_000_000_000, amount_minor=number) for number in range(10_000)]
    answer = client.score_history(events, customer_id="old friend")
    assert answer.customer is not None
    assert answer.customer.num_orders == 10_000


def test_a_server_without_the_model_answers_from_the_snapshot_alone(
    server_thread: ServerThread, scored_store: Path, tmp_path: Path
) -> None:
    replica = tmp_path / "replica"
    shutil.copytree(scored_store, replica, ignore=shutil.ignore_patterns("models"))
    server = server_thread.start(ServerConfig(store=replica, listen="127.0.0.1:0", stop_grace_s=1.0))
    with EbbtideClient(server.target) as client:
        assert client.score(WHO).customer is not None
        with pytest.raises(NoBundleError, match=r"holds no bundle default/0001 with hash sha256:.*copy it"):
            client.score(WHO, as_of_us=TRAINED_AS_OF_US)
        with pytest.raises(NoBundleError):
            client.score_history([BOUGHT])
    server_thread.stop(server)

    shutil.copytree(scored_store / "models", replica / "models")
    remove_tree(replica / "history")
    server = server_thread.start(ServerConfig(store=replica, listen="127.0.0.1:0", stop_grace_s=1.0))
    with EbbtideClient(server.target) as client:
        assert client.score(WHO).customer is not None
        with pytest.raises(NoHistoryError, match="holds no history"):
            client.score(WHO, as_of_us=TRAINED_AS_OF_US)
    server_thread.stop(server)


def test_what_was_ingested_since_the_snapshot_counts_in_live_scores_alone(
    server_thread: ServerThread, scored_store: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "moving"
    shutil.copytree(scored_store, copy)
    server = server_thread.start(ServerConfig(store=copy, listen="127.0.0.1:0", poll_interval_s=0.02, stop_grace_s=1.0))
    with EbbtideClient(server.target) as client:
        snapshot, before = client.score(WHO), client.score(WHO, as_of_us=TRAINED_AS_OF_US)
        late = tmp_path / "late.csv"
        late.write_text(f"customer_id,timestamp,amount,store_id\n{WHO},2023-12-31T09:00:00Z,30.00,south\n")
        ingest(copy, [late])

        def seen() -> CustomerAnswer:
            return client.score(WHO, as_of_us=TRAINED_AS_OF_US)

        wait_for(lambda: seen() != before)
        assert client.score(WHO) == snapshot
        assert before.customer is not None
        now = seen().customer
        assert now is not None
        assert (now.num_orders, now.store_id) == (before.customer.num_orders + 1, "south")
        with InlineExecutor() as executor:
            rescore(copy, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
        wait_for(lambda: client.score(WHO) != snapshot)
        again = client.score(WHO).customer
        assert again is not None
        assert again.churn_probability == pytest.approx(now.churn_probability, abs=1e-6)
    server_thread.stop(server)


def test_more_live_calls_than_the_server_takes_are_refused_and_others_go_on(
    server_thread: ServerThread, scored_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = Gate(), Gate()

    def hold(state: Any, request: Any) -> CustomerAnswer:
        entered.set()
        release.wait(60)
        return answer(state, request)

    from serving.service.live.requests import answer_customer as answer

    monkeypatch.setattr("serving.service.servicer.answer_customer", hold)
    config = ServerConfig(store=scored_store, listen="127.0.0.1:0", num_live_threads=1, max_live_calls=1, stop_grace_s=1.0)
    server = server_thread.start(config)
    with EbbtideClient(server.target, timeout_s=60) as client, ThreadPoolExecutor(1) as threads:
        held = threads.submit(client.score, WHO, as_of_us=TRAINED_AS_OF_US)
        assert entered.wait(60)
        with pytest.raises(RemoteError, match=r"RESOURCE_EXHAUSTED.*live scores are waiting"):
            client.score(WHO, as_of_us=TRAINED_AS_OF_US)
        assert client.score(WHO).customer is not None  # from the snapshot, while the live call is held
        release.set()
        assert held.result().customer is not None
    server_thread.stop(server)
