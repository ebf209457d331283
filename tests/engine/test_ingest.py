"""Ingest as a whole: what goes in, what is kept out, what is refused, what is reported."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import InvalidArgumentError, SourceError, StoreBusyError
from engine.files import writer_lock
from engine.history import History
from engine.ingest import IngestProgress, IngestReport, Stage, ingest
from engine.schema import MAX_ID_BYTES, EventKind
from tests.engine.conftest import WriteSource, list_files
from tests.engine.reference_history import Event, decode
from tests.engine.source_rows import T, bad_rows_csv, brief


def ingest_columns(store: Path, write_parquet: WriteSource, name: str = "t.parquet", **columns: Any) -> IngestReport:
    return ingest(store, [write_parquet(name, **columns)], num_buckets=2)


def test_lines_of_one_order_become_one_event(store: Path, write_parquet: WriteSource) -> None:
    report = ingest_columns(
        store,
        write_parquet,
        customer_id=["a", "a", "a", "b"],
        timestamp=[T(2), T(1), T(3), T(1)],
        amount=[1.10, 2.20, 5.00, 0.0],
        order_id=["x", "x", "y", "x"],
        quantity=[1.5, None, float("nan"), 2.0],
        discount=[-0.25, None, 0.0, 0.0],
        store_id=[7, 10, None, 7],
        channel=[None, "web", None, "app"],
        product_id=["p", "q", None, "p"],
        category=["c", "c", "c", None],
    )
    first = datetime(2017, 1, 1, 10, tzinfo=UTC)
    at = [int((first + timedelta(days=days)).timestamp()) * 1_000_000 for days in range(3)]
    assert decode(History.open(store)) == [
        Event(
            customer_id=b"a",
            timestamp_us=at[0],
            kind=EventKind.PURCHASE,
            amount_minor=330,
            discount_minor=-25,
            quantity_milli=2500,
            num_lines=2,
            num_products=2,
            num_categories=1,
            rating_milli=-1,
            store="10",
            channel="web",
        ),
        Event(
            customer_id=b"a",
            timestamp_us=at[2],
            kind=EventKind.PURCHASE,
            amount_minor=500,
            discount_minor=0,
            quantity_milli=1000,
            num_lines=1,
            num_products=0,
            num_categories=1,
            rating_milli=-1,
            store="",
            channel="",
        ),
        Event(
            customer_id=b"b",
            timestamp_us=at[0],
            kind=EventKind.PURCHASE,
            amount_minor=0,
            discount_minor=0,
            quantity_milli=2000,
            num_lines=1,
            num_products=1,
            num_categories=0,
            rating_milli=-1,
            store="7",
            channel="app",
        ),
    ]
    assert (report.num_events_new, report.num_events_replaced, report.num_events_unchanged) == (3, 0, 0)
    manifest = report.manifest
    assert (manifest.num_customers, manifest.num_events, manifest.num_orders, manifest.num_returns) == (2, 3, 3, 0)
    assert manifest.amount_minor_total == 830
    assert (manifest.first_event_us, manifest.last_event_us) == (at[0], at[2])
    assert manifest.fields[:3] == ("customer_id", "timestamp", "amount")


def test_without_order_ids_and_amounts_a_customer_and_time_is_an_order_and_a_line_counts_one(
    store: Path, write_parquet: WriteSource
) -> None:
    ingest_columns(store, write_parquet, customer_id=["a", "a", "a", "b"], timestamp=[T(1), T(1), T(2), T(1)])
    assert brief(store) == [("a", EventKind.PURCHASE, 200), ("a", EventKind.PURCHASE, 100), ("b", EventKind.PURCHASE, 100)]


def test_rows_without_an_order_id_fall_back_to_their_time(store: Path, write_parquet: WriteSource) -> None:
    ingest_columns(store, write_parquet, customer_id=["a"] * 3, timestamp=[T(1), T(1), T(2)], order_id=["x", None, ""])
    assert [event.num_lines for event in decode(History.open(store))] == [1, 1, 1]


def test_without_a_flag_the_net_amount_of_an_order_says_whether_it_is_a_return(store: Path, write_parquet: WriteSource) -> None:
    ingest_columns(
        store,
        write_parquet,
        customer_id=["a", "a", "b", "b", "c"],
        timestamp=[T(1)] * 5,
        amount=[5.0, -5.01, 5.0, -5.0, -1.0],
        order_id=["x", "x", "y", "y", "z"],
    )
    assert brief(store) == [("a", EventKind.RETURN, -1), ("b", EventKind.PURCHASE, 0), ("c", EventKind.RETURN, -100)]


def test_without_flag_and_amounts_the_net_quantity_says_it(store: Path, write_parquet: WriteSource) -> None:
    ingest_columns(store, write_parquet, customer_id=["a", "b"], timestamp=[T(1)] * 2, quantity=[-2, 3])
    assert brief(store) == [("a", EventKind.RETURN, 100), ("b", EventKind.PURCHASE, 100)]


def test_with_a_flag_each_line_goes_its_own_way_and_amounts_keep_their_sign(store: Path, write_parquet: WriteSource) -> None:
    report = ingest_columns(
        store,
        write_parquet,
        customer_id=["a"] * 4,
        timestamp=[T(1)] * 4,
        amount=[10.0, 3.0, -2.0, -1.0],
        order_id=["x"] * 4,
        is_return=[False, True, None, True],
    )
    assert brief(store) == [("a", EventKind.PURCHASE, 800), ("a", EventKind.RETURN, 200)]
    assert report.num_events_new == 2  # the purchase and the return
    assert (report.manifest.num_orders, report.manifest.num_returns, report.manifest.num_events) == (1, 1, 2)


def test_fractions_of_a_cent_do_not_let_the_total_drift(store: Path, write_parquet: WriteSource) -> None:
    report = ingest_columns(
        store,
        write_parquet,
        customer_id=["a"] * 1000 + ["b"],
        timestamp=[T(1)] * 1001,
        amount=[0.001] * 1000 + [0.005],
        order_id=["x"] * 1001,
    )
    assert brief(store) == [("a", EventKind.PURCHASE, 100), ("b", EventKind.PURCHASE, 1)]
    assert report.num_sub_cent == 1001
    assert report.rounding_major == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("customer_id", "kind"),
    [
        (pa.array([17850, None, 3]), "integer"),
        (pa.array([17850.0, None, 3.0]), "integer"),
        (pa.array(["17850", None, "3"]), "string"),
    ],
)
def test_integer_float_and_text_ids_are_the_same_customer(
    store: Path, write_parquet: WriteSource, customer_id: pa.Array, kind: str
) -> None:
    report = ingest_columns(store, write_parquet, customer_id=customer_id, timestamp=[T(1)] * 3)
    assert report.manifest.customer_id_type == kind
    assert report.bad_rows == {"customer_id missing": 1}
    partition, row = History.open(store).find("17850")
    assert partition.customer_ids[row].as_py() == "17850"


def test_ids_stay_integer_only_while_every_source_has_them(
    store: Path, write_parquet: WriteSource, write_text: WriteSource
) -> None:
    ingest_columns(store, write_parquet, customer_id=[1], timestamp=[T(1)])
    assert ingest(store, [write_text("a.csv", "customer_id,timestamp", f"2.0,{T(1)}")]).manifest.customer_id_type == "integer"
    assert ingest(store, [write_text("b.csv", "customer_id,timestamp", f"x,{T(1)}")]).manifest.customer_id_type == "string"
    assert ingest(store, [write_text("c.csv", "customer_id,timestamp", f"4,{T(1)}")]).manifest.customer_id_type == "string"


def test_times_with_a_zone_are_turned_to_utc_and_others_are_taken_as_utc(store: Path, write_parquet: WriteSource) -> None:
    zoned = pa.array([datetime(2017, 1, 1, 10, tzinfo=UTC)], pa.timestamp("ms", "America/New_York"))
    plain = pa.array([datetime(2017, 1, 1, 10)], pa.timestamp("ns"))
    text = pa.array(["2017-01-01T12:00:00+02:00"])
    days = pa.array([date(2017, 1, 1)])
    found = []
    for index, column in enumerate((zoned, plain, text, days)):
        ingest_columns(store / str(index), write_parquet, customer_id=["a"], timestamp=column)
        found.append(History.open(store / str(index)).manifest.first_event_us)
    ten = int(datetime(2017, 1, 1, 10, tzinfo=UTC).timestamp()) * 1_000_000
    assert found == [ten, ten, ten, ten - 10 * 3_600_000_000]


def test_a_timestamp_format_of_ones_own(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id;timestamp", "a;02/12/2017 8:30", "a;30/02/2017 8:30")
    report = ingest(store, [path], timestamp_format="%d/%m/%Y %H:%M")
    assert report.bad_rows == {"timestamp unreadable": 1}
    assert report.manifest.first_event_us == int(datetime(2017, 12, 2, 8, 30, tzinfo=UTC).timestamp()) * 1_000_000


def test_every_reason_is_counted_and_the_rows_are_in_quarantine(store: Path, write_text: WriteSource) -> None:
    report = ingest(store, [bad_rows_csv(write_text)], columns={"customer_id": "who"})
    assert report.bad_rows == {
        "customer_id missing": 2,
        "timestamp missing": 1,
        "timestamp unreadable": 1,
        "timestamp in the future": 1,
        "amount missing": 1,
        "amount not finite": 1,
        "amount unreadable": 1,
        "amount too large": 1,
        "quantity unreadable": 1,
        "discount unreadable": 1,
        "is_return unreadable": 1,
    }
    assert report.num_bad_rows == report.manifest.num_bad_rows == 12
    assert report.num_rows == 14
    assert brief(store) == [("a", EventKind.PURCHASE, 300)]
    (file,) = report.files
    assert file.quarantine is not None
    assert file.quarantine == store / "history" / "quarantine" / f"bad rows-{file.sha256[7:15]}.csv"
    with file.quarantine.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    assert rows[0] == {
        "row": "2",
        "reason": "customer_id missing",
        "who": "",
        "timestamp": "2017-01-01",
        "amount": "1.00",
        "quantity": "1",
        "discount": "0",
        "is_return": "no",
    }
    assert [row["row"] for row in rows] == [str(number) for number in range(2, 14)]
    assert rows[6]["amount"] == "1,00"


def test_ids_that_nobody_could_ask_for_are_kept_out(store: Path, write_parquet: WriteSource) -> None:
    longest = "é" * (MAX_ID_BYTES // 2)
    ids = ["a", longest, longest + "x"]
    report = ingest_columns(store, write_parquet, customer_id=ids, timestamp=[T(1)] * 3)
    assert report.bad_rows == {"customer_id too long": 1}
    assert report.manifest.num_customers == 2


def test_typed_bad_rows_keep_what_the_source_said(store: Path, write_parquet: WriteSource) -> None:
    report = ingest_columns(
        store,
        write_parquet,
        customer_id=pa.array(["a", "b", None, "d"]).dictionary_encode(),
        timestamp=pa.array([datetime(2017, 1, 1), datetime(2250, 1, 1), datetime(2017, 1, 1), datetime(1850, 1, 1)]),
        amount=[1.0, 2.0, float("nan"), 4.0],
    )
    assert report.bad_rows == {"customer_id missing": 1, "timestamp unreadable": 1, "timestamp in the future": 1}
    quarantine = report.files[0].quarantine
    assert quarantine is not None
    with quarantine.open(newline="") as stream:
        rows = [(row["row"], row["customer_id"], row["timestamp"][:10], row["amount"]) for row in csv.DictReader(stream)]
    assert rows == [("2", "b", "2250-01-01", "2"), ("3", "", "2017-01-01", "nan"), ("4", "d", "1850-01-01", "4")]


def test_a_file_without_a_usable_row_is_refused_with_examples(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,InvoiceDate", "a,12/1/10 8:26", ",12/2/10 8:26", "c,12/3/10 8:26")
    with pytest.raises(SourceError) as refused:
        ingest(store, [path], columns={"timestamp": "InvoiceDate"})
    assert str(refused.value).startswith(
        f"{path}: none of its 3 rows can be used: 2 x timestamp unreadable (column 'InvoiceDate', "
        "found '12/1/10 8:26', '12/3/10 8:26'; expected ISO 8601"
    )
    assert "--timestamp-format" in str(refused.value)
    assert not store.exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.csv", None, "found no such file"),
        ("bad.csv", "customer_id,time\na,2017-01-01\n", "no column 'timestamp'"),
        ("bad.csv", "customer_id,timestamp\na,soon\n", "none of its 1 rows"),
        ("bad.csv", "customer_id,timestamp\na,2017-01-01\nb\n", "got 1"),
        ("bad.csv", "customer_id,timestamp\n", "found no rows"),
        ("bad.parquet", "PAR1 no", "is no readable Parquet file"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_one_bad_file_of_several_leaves_the_store_untouched(
    store: Path, tmp_path: Path, write_text: WriteSource, name: str, text: str | None, message: str, is_first: bool
) -> None:
    if not is_first:
        ingest(store, [write_text("first.csv", "customer_id,timestamp", f"a,{T(1)}")])
    before = list_files(store)
    good = write_text("good.csv", "customer_id,timestamp", f"b,{T(2)}", ",")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=message):
        ingest(store, [good, tmp_path / name])
    assert list_files(store) == before
    assert store.exists() == (not is_first)


def test_settings_out_of_their_limits(store: Path, write_text: WriteSource, tmp_path: Path) -> None:
    path = write_text("t.csv", "customer_id,timestamp", f"a,{T(1)}")
    for num_buckets in (0, -1, 4097):
        with pytest.raises(InvalidArgumentError, match=f"num_buckets: found {num_buckets}, expected 1 to 4096"):
            ingest(store, [path], num_buckets=num_buckets)
    with pytest.raises(InvalidArgumentError, match="timestamp_format"):
        ingest(store, [path], timestamp_format="%Q")
    with pytest.raises(InvalidArgumentError, match="column: found field 'x'"):
        ingest(store, [path], columns={"x": "y"})
    with pytest.raises(InvalidArgumentError, match="is a file, expected a folder"):
        ingest(path, [path])
    assert not store.exists()
    ingest(store, [path], num_buckets=4)
    ingest(store, [write_text("u.csv", "customer_id,timestamp", f"b,{T(1)}")], num_buckets=4)
    with pytest.raises(InvalidArgumentError, match=r"found 8, but .* has 4; leave it out, and split it"):
        ingest(store, [path], num_buckets=8)


def test_only_one_writer(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp", f"a,{T(1)}")
    with writer_lock(store / "history"), pytest.raises(StoreBusyError, match=f"process {os.getpid()}"):
        ingest(store, [path])


def test_a_file_that_grows_while_it_is_read_is_refused(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp", f"a,{T(1)}")

    def grow(progress: IngestProgress) -> None:
        with path.open("a") as stream:
            stream.write(f"b,{T(1)}\n")

    with pytest.raises(SourceError, match="changed while it was being read"):
        ingest(store, [path], progress=grow)
    assert not store.exists()


def test_progress_counts_up_to_all_rows(store: Path, tmp_path: Path, write_parquet: WriteSource, write_text: WriteSource) -> None:
    seen: list[IngestProgress] = []
    first = write_parquet("1.parquet", customer_id=["a", "b", None], timestamp=[T(1)] * 3)
    second = write_parquet("2.parquet", customer_id=["c"], timestamp=[T(2)])
    ingest(store, [first, second], progress=seen.append)
    read = [(step.file, step.rows_done, step.rows_total) for step in seen if step.stage == Stage.READ]
    assert read == [(str(first), 3, 4), (str(second), 4, 4)]
    assert [(step.rows_done, step.rows_total) for step in seen if step.stage == Stage.STORE][-1] == (3, 3)
    ingest(store, [write_text("3.csv", "customer_id,timestamp", f"a,{T(3)}")], progress=seen.append)
    assert seen[-2].rows_total is None


def test_the_manifest_can_be_read_without_ebbtide(store: Path, write_text: WriteSource) -> None:
    report = ingest(store, [write_text("t.csv", "customer_id,timestamp,amount", f"a,{T(1)},5")])
    body = json.loads((store / "history" / "manifest.json").read_text())
    assert body["amount_minor_total"] == 500
    assert body["num_events"] == body["num_orders"] == body["num_customers"] == 1
    assert body["sources"][0]["sha256"] == report.files[0].sha256
    assert body["sources"][0]["num_bad_rows"] == 0
    assert body["parts"][0]["num_events"] == 1


def test_an_order_whose_money_does_not_fit_is_refused(store: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "customer_id": ["a"] * 200,
            "timestamp": pa.array([0] * 200, pa.timestamp("s")),
            "amount": pa.array([Decimal(9_000_000_000_000)] * 200, pa.decimal128(20, 2)),
            "order_id": ["x"] * 200,
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InvalidArgumentError, match="more than 64 bits"):
        ingest(store, [tmp_path / "t.parquet"])
    assert not store.exists()


@pytest.mark.parametrize(
    ("unit", "near", "far"), [("s", 15 * 10**8, 10**14), ("ms", 15 * 10**11, 10**15), ("us", 15 * 10**14, 3 * 10**17)]
)
def test_a_time_beyond_every_calendar_is_a_bad_row(
    store: Path, write_parquet: WriteSource, unit: str, near: int, far: int
) -> None:
    times = pa.array([near, far], pa.timestamp(unit))
    report = ingest(store, [write_parquet("far.parquet", customer_id=["a", "b"], timestamp=times)])
    assert (report.num_bad_rows, report.manifest.num_orders) == (1, 1)


def test_a_zone_that_nobody_knows_does_not_hinder_the_quarantine(store: Path, write_parquet: WriteSource) -> None:
    times = pa.array([1_500_000_000, 1_500_000_001], pa.timestamp("s", "Mars/Olympus"))
    report = ingest(store, [write_parquet("mars.parquet", customer_id=["a", ""], timestamp=times)])
    assert (report.num_bad_rows, report.manifest.num_orders) == (1, 1)
