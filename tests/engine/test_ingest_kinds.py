"""Every kind of event, from files of one kind and from files that say it row by row, in one history."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from engine.activity import measure_activity
from engine.errors import AsOfError, SourceError
from engine.history import History
from engine.ingest import FileStatus, ingest
from engine.instants import parse_instant
from engine.labels import churned, eligible
from engine.schema import EventKind
from tests.engine.conftest import WriteSource
from tests.engine.reference_history import decode

T = "2017-01-0{} 10:00:00".format


def brief(store: Path) -> list[tuple[str, int, int, int, int, int]]:
    """(customer, kind, amount, quantity, lines, rating) of each event."""
    return [
        (event.customer_id.decode(), event.kind, event.amount_minor, event.quantity_milli, event.num_lines, event.rating_milli)
        for event in decode(History.open(store))
    ]


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind not in (EventKind.PURCHASE, EventKind.RETURN)])
def test_a_file_of_one_kind_needs_no_amount_and_is_worth_nothing(store: Path, write_text: WriteSource, kind: EventKind) -> None:
    path = write_text("t.csv", "customer_id,timestamp,rating", f"a,{T(1)},4.125")
    report = ingest(store, [path], kind=kind)
    assert brief(store) == [("a", kind, 0, 0, 1, 4125)]
    assert (report.manifest.num_orders, report.manifest.num_returns, report.manifest.num_events) == (0, 0, 1)
    assert report.manifest.num_by_kind[kind.name.lower()] == 1
    assert report.manifest.amount_minor_total == 0
    assert report.manifest.sources[0].kind == kind.name.lower()


def test_a_file_of_returns(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("t.csv", "customer_id,timestamp,amount", f"a,{T(1)},5")], kind=EventKind.RETURN)
    assert brief(store) == [("a", EventKind.RETURN, 500, 1000, 1, -1)]


def test_a_column_says_the_kind_row_by_row_and_what_it_leaves_open_is_that_of_the_command(
    store: Path, write_text: WriteSource
) -> None:
    lines = [
        f"a,{T(1)},5.00, Purchase ,",
        f"a,{T(2)},-1.00,purchase,",
        f"a,{T(3)},2.00,return,",
        f"a,{T(4)},,VISIT,",
        f"a,{T(5)},,,",
        f"a,{T(6)},,feedback,0.5",
        f"a,{T(7)},,complaint,",
        f"a,{T(8)},0.25,contact,",
    ]
    report = ingest(
        store, [write_text("t.csv", "customer_id,timestamp,net,what,stars", *lines)],
        columns={"amount": "net", "kind": "what", "rating": "stars"}, kind=EventKind.LOGIN,
    )  # fmt: skip
    assert report.num_bad_rows == 0
    assert brief(store) == [
        ("a", EventKind.PURCHASE, 500, 1000, 1, -1),
        ("a", EventKind.RETURN, -100, 1000, 1, -1),
        ("a", EventKind.RETURN, 200, 1000, 1, -1),
        ("a", EventKind.VISIT, 0, 0, 1, -1),
        ("a", EventKind.LOGIN, 0, 0, 1, -1),
        ("a", EventKind.FEEDBACK, 0, 0, 1, 500),
        ("a", EventKind.COMPLAINT, 0, 0, 1, -1),
        ("a", EventKind.CONTACT, 25, 0, 1, -1),
    ]
    assert report.manifest.amount_minor_total == 600


def test_bad_rows_of_kinds_and_ratings(store: Path, write_text: WriteSource) -> None:
    rows = ["visit,", "holiday,", "feedback,", "feedback,5", "feedback,five", "feedback,-1", "feedback,1000001", "login,inf"]
    path = write_text("t.csv", "customer_id,timestamp,kind,rating", *(f"a,{T(1)},{row}" for row in rows))
    assert ingest(store, [path]).bad_rows == {
        "kind unreadable": 1,
        "rating missing": 1,
        "rating unreadable": 2,
        "rating out of range": 2,
    }


def test_orders_still_need_an_amount_where_the_file_has_amounts(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp,kind,amount", f"a,{T(1)},visit,", f"a,{T(1)},purchase,", f"a,{T(1)},,NULL")
    assert ingest(store, [path]).bad_rows == {"amount missing": 2}


def test_nothing_of_a_column_of_floats_is_no_amount(store: Path, write_parquet: WriteSource) -> None:
    nothing = float("nan")
    path = write_parquet(
        "t.parquet", customer_id=["a", "a"], timestamp=[T(1)] * 2, amount=[nothing, nothing], kind=["visit", None]
    )
    assert ingest(store, [path]).bad_rows == {"amount not finite": 1}


def test_nan_in_a_csv_is_what_it_is_in_a_column_of_floats(store: Path, write_text: WriteSource) -> None:
    header = "customer_id,timestamp,amount,kind,quantity,discount,is_return,store_id,channel,order_id"
    nothing = "NaN,nan,NaN,nan,NaN,nan"
    rows = (f"a,{T(1)},NaN,,{nothing}", f"b,{T(1)},5,NaN,{nothing}", f"c,{T(1)},nan,visit,{nothing}", f"NaN,{T(1)},5,,{nothing}")
    report = ingest(store, [write_text("t.csv", header, *rows)])
    assert report.bad_rows == {"amount not finite": 1, "customer_id missing": 1}
    assert report.manifest.num_by_kind["purchase"] == report.manifest.num_by_kind["visit"] == 1
    partition, row = History.open(store).find("b")
    first = partition.offsets[row]
    assert (partition.store_code[first], partition.amount_minor[first], partition.quantity_milli[first]) == (-1, 500, 1000)
    quarantine = report.files[0].quarantine
    assert quarantine is not None
    with quarantine.open(newline="") as stream:
        assert [(row["customer_id"], row["amount"]) for row in csv.DictReader(stream)] == [("a", "NaN"), ("NaN", "5")]


def test_feedback_without_ratings_is_refused_with_the_column_to_name(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp,stars", f"a,{T(1)},5")
    with pytest.raises(SourceError, match=r"found no column 'rating', which feedback needs.*--column rating=stars"):
        ingest(store, [path], kind=EventKind.FEEDBACK)


def test_kinds_that_are_none_are_refused_with_those_there_are(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp,kind", f"a,{T(1)},food")
    with pytest.raises(SourceError, match=r"1 x kind unreadable \(column 'kind', found 'food'; expected one of purchase, return"):
        ingest(store, [path])


def test_one_event_is_known_by_customer_kind_time_and_order(store: Path, write_text: WriteSource) -> None:
    header = "customer_id,timestamp,kind,order_id,rating"
    lines = [f"a,{T(1)},visit,,", f"a,{T(1)},login,,", f"a,{T(1)},visit,x,", f"a,{T(2)},visit,x,", f"a,{T(2)},feedback,x,3"]
    first = ingest(store, [write_text("1.csv", header, *lines)])
    assert (first.num_events_new, len(brief(store))) == (5, 5)
    again = ingest(store, [write_text("2.csv", header, *reversed(lines), f"a,{T(3)},visit,x,", f"a,{T(2)},purchase,x,")])
    assert (again.num_events_new, again.num_events_replaced, again.num_events_unchanged) == (2, 0, 5)
    changed = ingest(store, [write_text("3.csv", header, f"a,{T(2)},feedback,x,1")])
    assert (changed.num_events_new, changed.num_events_replaced) == (0, 1)
    assert [event.rating_milli for event in decode(History.open(store)) if event.kind == EventKind.FEEDBACK] == [1000]


def test_of_several_ratings_of_one_instant_the_worst_stands(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp,rating", f"a,{T(1)},5", f"a,{T(1)},2", f"a,{T(1)},3")
    ingest(store, [path], kind=EventKind.FEEDBACK)
    assert brief(store) == [("a", EventKind.FEEDBACK, 0, 0, 3, 2000)]


def test_sources_of_several_kinds_meet_in_one_history(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("till.csv", "customer_id,timestamp,amount", f"a,{T(2)},5", f"b,{T(1)},6")], num_buckets=1)
    ingest(store, [write_text("door.csv", "customer_id,timestamp,store_id", f"a,{T(1)},7")], kind=EventKind.VISIT)
    ingest(store, [write_text("app.csv", "customer_id,timestamp", f"a,{T(3)}", f"c,{T(3)}")], kind=EventKind.LOGIN)
    history = History.open(store)
    assert [(event.customer_id, event.kind) for event in decode(history)] == [
        (b"a", EventKind.VISIT),
        (b"a", EventKind.PURCHASE),
        (b"a", EventKind.LOGIN),
        (b"b", EventKind.PURCHASE),
        (b"c", EventKind.LOGIN),
    ]
    assert (history.manifest.num_customers, history.manifest.num_orders, history.manifest.num_events) == (3, 2, 5)
    assert history.manifest.fields == ("customer_id", "timestamp", "amount", "store_id")


def test_the_same_file_of_another_kind_is_another_ingest(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp", f"a,{T(1)}")
    ingest(store, [path], kind=EventKind.VISIT)
    assert ingest(store, [path], kind=EventKind.VISIT).files[0].status == FileStatus.SKIPPED
    assert ingest(store, [path], kind=EventKind.LOGIN).num_events_new == 1


def test_labels_and_activity_look_at_purchases_only(store: Path, write_text: WriteSource) -> None:
    till = write_text("till.csv", "customer_id,timestamp", f"buyer,{T(1)}", f"other,{T(5)}")
    door = write_text("door.csv", "customer_id,timestamp", f"buyer,{T(4)}", f"looker,{T(1)}", "looker,2017-02-01")
    ingest(store, [till], num_buckets=1)
    ingest(store, [door], kind=EventKind.VISIT)
    history = History.open(store)
    partition = history.partition(0)
    as_of_us = parse_instant("2017-01-03")
    index = eligible(partition, as_of_us, 90)
    assert partition.customer_ids.take(index).to_pylist() == ["buyer"]
    assert churned(partition, index, as_of_us, 30).tolist() == [True]
    assert int(measure_activity([partition]).num_orders.sum()) == 2
    # The visits of February say nothing about who bought in January.
    history.check_as_of(parse_instant("2017-01-06"))
    with pytest.raises(AsOfError, match="the orders go from 2017-01-01T10:00:00Z to 2017-01-05T10:00:00Z"):
        history.check_as_of(parse_instant("2017-01-07"))


def test_a_history_without_orders_has_no_possible_date(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("door.csv", "customer_id,timestamp", f"a,{T(4)}")], kind=EventKind.VISIT)
    with pytest.raises(AsOfError, match="holds no orders; ingest purchases first"):
        History.open(store).check_as_of(parse_instant("2017-01-05"))
