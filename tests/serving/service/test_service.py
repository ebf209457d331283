"""The three calls over a real socket, through the client and through the bare stubs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from engine.errors import InvalidArgumentError, UnknownCustomerError
from engine.instants import DAY_US
from serving.answers import IneligibleReason, SpendUnit
from serving.client import EbbtideClient
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.risk import Grade, Tier
from serving.service.paging import PageToken
from serving.service.queries import context_of
from serving.service.server import Server
from serving.snapshots import Snapshot
from serving.wire.batches import BATCH_SCHEMA, read_arrow
from serving.wire.messages import context_message, read_context
from tests.serving.conftest import AS_OF_US, INPUTS, probability_of

OLD_TOKEN = PageToken(snapshot_id="old", offset=1, filters="").encode()
LONG_TOKEN = PageToken(snapshot_id="x" * 20_000, offset=1, filters="").encode()


@pytest.fixture(scope="module")
def stub(server: Server) -> Iterator[pb_grpc.ScoringServiceStub]:
    with grpc.insecure_channel(server.target) as channel:
        yield pb_grpc.ScoringServiceStub(channel)


def test_a_customer_is_answered_with_score_and_context(client: EbbtideClient) -> None:
    answer = client.score("c0033")
    assert answer.eligible
    assert answer.customer is not None
    assert answer.customer.customer_id == "c0033"
    assert answer.customer.churn_probability == probability_of(33)
    assert answer.customer.risk_score == pytest.approx(100 * probability_of(33), abs=1e-4)
    assert (answer.customer.grade, answer.customer.tier) == (Grade.Y4, Tier.YELLOW)
    assert answer.customer.last_purchase_us == AS_OF_US - 34 * DAY_US
    assert (answer.customer.num_orders, answer.customer.store_id) == (14, "store 0")
    assert answer.customer.expected_days_to_purchase == 33.5
    assert (answer.customer.expected_spend_90d, answer.customer.expected_spend_365d) == (3.25, 12.75)
    assert answer.context.snapshot_id == INPUTS.snapshot_id
    assert (answer.context.model_version, answer.context.model_hash) == ("default/0001", INPUTS.model_hash)
    assert (answer.context.as_of_us, answer.context.horizon_days, answer.context.active_within_days) == (AS_OF_US, 30, 90)
    assert answer.context.spend_unit is SpendUnit.CURRENCY


def test_expected_spend_says_where_it_is_orders() -> None:
    inputs = replace(INPUTS, has_amounts=False)
    sent = context_message(context_of(cast("Snapshot", SimpleNamespace(inputs=inputs, snapshot_id=inputs.snapshot_id)), 30))
    assert sent.spend_unit == pb.SPEND_UNIT_ORDERS
    assert read_context(sent).spend_unit is SpendUnit.ORDERS
    sent.spend_unit = cast("pb.SpendUnit.ValueType", 99)  # of a newer server
    assert read_context(sent).spend_unit is SpendUnit.UNSPECIFIED


@pytest.mark.parametrize("horizon_days", [1, 10, 30, 45, 365])
def test_another_horizon_changes_the_probability_and_not_the_grade(client: EbbtideClient, horizon_days: int) -> None:
    asked, default = client.score("c0040", horizon_days=horizon_days), client.score("c0040")
    assert asked.customer is not None
    assert default.customer is not None
    assert asked.context.horizon_days == horizon_days
    assert asked.customer.churn_probability == pytest.approx(float(probability_of(40)) ** (horizon_days / 30), abs=1e-6)
    assert (asked.customer.risk_score, asked.customer.grade) == (default.customer.risk_score, default.customer.grade)


@pytest.mark.parametrize(
    ("customer_id", "reason"),
    [
        ("lapsed", IneligibleReason.NO_RECENT_PURCHASE),
        ("newcomer", IneligibleReason.NO_PURCHASE_BEFORE_AS_OF),
        ("late news", IneligibleReason.NOT_YET_RESCORED),
    ],
)
def test_a_known_customer_without_a_score_is_told_why(client: EbbtideClient, customer_id: str, reason: IneligibleReason) -> None:
    answer = client.score(customer_id)
    assert (answer.eligible, answer.customer, answer.ineligible_reason) == (False, None, reason)
    assert answer.context.snapshot_id == INPUTS.snapshot_id


def test_a_stranger_is_not_found(client: EbbtideClient, stub: pb_grpc.ScoringServiceStub) -> None:
    with pytest.raises(UnknownCustomerError, match="'nobody' is not in the history"):
        client.score("nobody")
    with pytest.raises(grpc.RpcError) as caught:
        stub.ScoreCustomer(pb.ScoreCustomerRequest(customer_id="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    info = details(caught.value)[0]
    assert (info.reason, info.domain, info.metadata["customer_id"]) == ("UNKNOWN_CUSTOMER", "ebbtide", "nobody")


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        ("ScoreCustomer", pb.ScoreCustomerRequest(), "customer_id"),
        ("ScoreCustomer", pb.ScoreCustomerRequest(customer_id="ü" * 129), "customer_id"),
        ("ScoreCustomer", pb.ScoreCustomerRequest(customer_id="c0001", horizon_days=0), "horizon_days"),
        ("ScoreCustomer", pb.ScoreCustomerRequest(customer_id="c0001", horizon_days=366), "horizon_days"),
        ("ScoreCustomer", pb.ScoreCustomerRequest(customer_id="lapsed", horizon_days=-1), "horizon_days"),
        ("BatchScore", pb.BatchScoreRequest(customer_ids=["c0001", ""]), "customer_ids[1]"),
        ("BatchScore", pb.BatchScoreRequest(customer_ids=["c"] * 100_001), "customer_ids"),
        ("BatchScore", pb.BatchScoreRequest(format=9), "format"),  # type: ignore[arg-type]
        ("BatchScore", pb.BatchScoreRequest(horizon_days=1000), "horizon_days"),
        ("ListAtRisk", pb.ListAtRiskRequest(page_size=-1), "page_size"),
        ("ListAtRisk", pb.ListAtRiskRequest(page_size=1001), "page_size"),
        ("ListAtRisk", pb.ListAtRiskRequest(page_token="nonsense"), "page_token"),
        ("ListAtRisk", pb.ListAtRiskRequest(page_token="W1tb" * 10_000), "page_token"),  # [[[[…
        ("ListAtRisk", pb.ListAtRiskRequest(page_token="W1tb" * 256), "page_token"),
        ("ListAtRisk", pb.ListAtRiskRequest(page_token=LONG_TOKEN), "page_token"),
        (
            "ListAtRisk",
            pb.ListAtRiskRequest(page_token=PageToken(snapshot_id="old", offset=1, filters="").encode()),
            "page_token",
        ),
        ("ListAtRisk", pb.ListAtRiskRequest(store_id="s" * 257), "store_id"),
        ("ListAtRisk", pb.ListAtRiskRequest(min_grade=pb.RISK_GRADE_UNSPECIFIED), "min_grade"),
        ("ListAtRisk", pb.ListAtRiskRequest(min_churn_probability=1.5), "min_churn_probability"),
        ("ListAtRisk", pb.ListAtRiskRequest(min_churn_probability=float("nan")), "min_churn_probability"),
    ],
)
def test_a_malformed_request_is_refused_naming_the_field(
    stub: pb_grpc.ScoringServiceStub, call: str, request_: object, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(getattr(stub, call)(request_))  # a unary call fails before there is anything to list
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad_request = details(caught.value)
    assert (info.reason, info.domain) == ("INVALID_ARGUMENT", "ebbtide")
    assert [violation.field for violation in bad_request.field_violations] == [field]
    assert bad_request.field_violations[0].description
    assert caught.value.details().startswith(f"{field}: ")


def test_the_client_names_the_field_too(client: EbbtideClient) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^horizon_days: found 400, expected 1 to 365") as caught:
        client.score("c0001", horizon_days=400)
    assert caught.value.field == "horizon_days"
    with pytest.raises(InvalidArgumentError, match=r"^customer_ids: found the text 'c0001', expected a sequence"):
        client.batch("c0001")
    with pytest.raises(InvalidArgumentError, match=r"^limit: found 0"):
        client.at_risk(limit=0)
    with pytest.raises(InvalidArgumentError, match=r"^timeout_s: found 0"):
        EbbtideClient("127.0.0.1:1", timeout_s=0)


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda client: client.score("\udcff"), "customer_id"),  # what is left of a byte that is no UTF-8
        (lambda client: client.score("c0001", horizon_days=2**40), "horizon_days"),
        (lambda client: client.score("c0001", as_of_us=10**30), "as_of"),
        (lambda client: client.score_history([], customer_id="\udcff"), "customer_id"),
        (lambda client: client.batch(["c0001", "\udcff"]), "customer_ids"),
        (lambda client: client.batch(horizon_days=2**40), "horizon_days"),
        (lambda client: client.at_risk_page("\udcff"), "store_id"),
        (lambda client: client.at_risk_page(page_size=2**40), "page_size"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_naming_the_field(
    client: EbbtideClient, ask: Callable[[EbbtideClient], object], field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ask(client)
    assert caught.value.field == field


def test_a_batch_that_was_left_off_goes_on_where_it_was(client: EbbtideClient) -> None:
    batch = client.batch()
    first = next(iter(batch))
    assert first.num_rows + sum(rows.num_rows for rows in batch) == 500


def test_a_batch_of_ids_comes_in_their_order_each_once(client: EbbtideClient) -> None:
    scores = client.batch(["c0009", "nobody", "lapsed", "c0003", "c0009", "nobody"])
    assert (scores.not_found_customer_ids, scores.ineligible_customer_ids) == (["nobody"], ["lapsed"])
    assert scores.context.snapshot_id == INPUTS.snapshot_id
    table = scores.read_all()
    assert table.schema == BATCH_SCHEMA
    assert table["customer_id"].to_pylist() == ["c0009", "c0003"]
    assert table["churn_probability"].to_pylist() == [probability_of(9), probability_of(3)]
    assert table["tier"].to_pylist() == [
        "blue" if p < 0.3 else "yellow" if p < 0.7 else "red" for p in map(probability_of, (9, 3))
    ]


def test_a_batch_without_ids_is_the_whole_snapshot(client: EbbtideClient) -> None:
    table = client.batch().reader().read_all()
    assert sorted(table["customer_id"].to_pylist()) == [f"c{number:04d}" for number in range(500)]
    assert dict(zip(table["customer_id"].to_pylist(), table["churn_probability"].to_pylist(), strict=True)) == {
        f"c{number:04d}": probability_of(number) for number in range(500)
    }


def test_a_batch_of_strangers_has_no_rows(client: EbbtideClient) -> None:
    scores = client.batch([f"x{number}" for number in range(9000)])
    assert len(scores.not_found_customer_ids) == 9000
    assert scores.read_all().num_rows == 0


@pytest.mark.parametrize("horizon_days", [None, 90])
def test_packed_columns_and_arrow_say_the_same(stub: pb_grpc.ScoringServiceStub, horizon_days: int | None) -> None:
    ids = ["nobody", *(f"c{number:04d}" for number in range(0, 500, 3))]
    packed, arrow = (
        list(stub.BatchScore(pb.BatchScoreRequest(customer_ids=ids, horizon_days=horizon_days, format=layout)))
        for layout in (pb.BATCH_FORMAT_PACKED_COLUMNS, pb.BATCH_FORMAT_ARROW_IPC)
    )
    assert [list(response.not_found_customer_ids) for response in packed] == [["nobody"], []]
    assert packed[0].context == arrow[1].context
    columns, batch = packed[1].columns, read_arrow(arrow[1].arrow_ipc)
    assert not columns.HasField("reasons")  # nobody asked for them
    for field in columns.DESCRIPTOR.fields:
        if field.name == "reasons":
            continue
        values = list(getattr(columns, field.name))
        if field.enum_type is not None:
            names = batch.column(field.name).to_pylist()
            values = [field.enum_type.values_by_number[value].name.rpartition("_")[2] for value in values]
            assert values == [name.upper() for name in names]
        else:
            assert values == batch.column(field.name).to_pylist()


def test_one_customer_and_the_batch_say_the_same(client: EbbtideClient) -> None:
    row = client.batch(["c0123"], horizon_days=14).read_all().to_pylist()[0]
    customer = client.score("c0123", horizon_days=14).customer
    assert customer is not None
    assert row == {
        **{name: getattr(customer, name) for name in BATCH_SCHEMA.names},
        "grade": customer.grade.name,
        "tier": customer.tier.name.lower(),
    }


@pytest.mark.parametrize("page_size", [1, 7, 50, 1000])
def test_a_walk_over_all_pages_meets_everybody_once_in_order(stub: pb_grpc.ScoringServiceStub, page_size: int) -> None:
    met, token = [], ""
    threshold = 0.9 if page_size == 1 else 0.0
    while True:
        page = stub.ListAtRisk(pb.ListAtRiskRequest(page_size=page_size, page_token=token, min_churn_probability=threshold))
        met.extend((-customer.churn_probability, customer.customer_id) for customer in page.customers)
        token = page.next_page_token
        if not token:
            break
    expected = sorted((-probability_of(number), f"c{number:04d}") for number in range(500) if probability_of(number) >= threshold)
    assert met == expected
    assert page.total_size == len(expected)


def test_a_page_has_fifty_customers_by_default(stub: pb_grpc.ScoringServiceStub) -> None:
    page = stub.ListAtRisk(pb.ListAtRiskRequest())
    assert (len(page.customers), page.total_size) == (50, 500)


def test_at_risk_can_be_narrowed_to_a_store(client: EbbtideClient) -> None:
    chain = client.at_risk_page(page_size=500)
    for store_id in ["store 1", ""]:
        page = client.at_risk_page(store_id, page_size=500)
        assert page.customers == tuple(customer for customer in chain.customers if customer.store_id == store_id)
        assert page.total_size == len(page.customers)
    assert client.at_risk_page("nowhere").customers == ()


@pytest.mark.parametrize("grade", list(Grade))
def test_at_risk_can_be_narrowed_to_a_grade_and_worse(client: EbbtideClient, grade: Grade) -> None:
    chain = client.at_risk_page(page_size=500)
    page = client.at_risk_page(page_size=500, min_grade=grade)
    assert page.customers == tuple(customer for customer in chain.customers if customer.grade <= grade)


def test_the_client_walks_over_pages_up_to_its_limit(client: EbbtideClient, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = client.at_risk_page(page_size=500).customers
    monkeypatch.setattr("serving.client._PAGE_SIZE", 40)
    assert tuple(client.at_risk()) == everybody
    assert tuple(client.at_risk(limit=90)) == everybody[:90]
    assert tuple(client.at_risk(limit=7)) == everybody[:7]
    assert tuple(client.at_risk("store 2", min_grade=Grade.R2)) == tuple(
        customer for customer in everybody if customer.store_id == "store 2" and customer.grade <= Grade.R2
    )


def test_a_token_belongs_to_its_filters(client: EbbtideClient) -> None:
    token = client.at_risk_page(page_size=5).next_page_token
    with pytest.raises(InvalidArgumentError, match="page_token: belongs to other filters"):
        client.at_risk_page("store 1", page_size=5, page_token=token)


def details(error: grpc.RpcError) -> list[error_details_pb2.ErrorInfo | error_details_pb2.BadRequest]:
    status = rpc_status.from_call(error)
    kinds = {kind.DESCRIPTOR.full_name: kind for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest)}
    found = []
    for packed in status.details:
        detail = kinds[packed.TypeName()]()
        packed.Unpack(detail)
        found.append(detail)
    return found
