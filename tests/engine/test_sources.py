"""Which files, and which column is which field."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from engine.errors import InvalidArgumentError, SourceError
from engine.sources import find_files, open_source
from tests.engine.conftest import WriteSource


def test_fields_are_found_by_their_own_name_unless_mapped(write_text: WriteSource) -> None:
    path = write_text("t.csv", "household,order_id,timestamp,amount,note", "a,1,2017-01-01,2,x")
    source = open_source(path, {"customer_id": "household", "order_id": "note"}, None)
    assert source.mapping == {"customer_id": "household", "timestamp": "timestamp", "amount": "amount", "order_id": "note"}


def test_one_column_may_serve_two_fields(write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp", "a,2017-01-01")
    source = open_source(path, {"order_id": "customer_id"}, None)
    assert [batch.schema.names for batch in source.batches()] == [["customer_id", "timestamp"]]


def test_a_field_that_there_is_not(write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp", "a,2017-01-01")
    with pytest.raises(InvalidArgumentError, match="found field 'custmer', expected one of customer_id, timestamp, amount"):
        open_source(path, {"custmer": "customer_id"}, None)


def test_a_missing_column_is_named_with_those_there_are_and_what_to_type(write_text: WriteSource) -> None:
    path = write_text("t.csv", "household_id,timestamp", "a,2017-01-01")
    with pytest.raises(SourceError) as refused:
        open_source(path, {}, None)
    message = str(refused.value)
    assert message.startswith(f"{path}: found no column 'customer_id', which every source needs")
    assert "the columns are household_id, timestamp; perhaps you mean --column customer_id=household_id" in message


@pytest.mark.parametrize(
    ("header", "columns", "hint"),
    [
        ("customer_id,InvoiceDate", {}, "--column timestamp=InvoiceDate"),
        ("Customer ID,timestamp", {}, '--column "customer_id=Customer ID"'),
        ("customer_id,timestamp,amuont", {"amount": "amount_eur"}, "found no column 'amount_eur' for the field amount"),
        ("customer_id,timestamp,sales_value", {"amount": "salesvalue"}, "--column amount=sales_value"),
        ("a,b", {}, "say so with --column customer_id=NAME"),
    ],
)
def test_the_hint_looks_for_close_and_usual_names(
    write_text: WriteSource, header: str, columns: dict[str, str], hint: str
) -> None:
    path = write_text("t.csv", header, ",".join("x" for _ in header.split(",")))
    with pytest.raises(SourceError) as refused:
        open_source(path, columns, None)
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("field", "column", "message"),
    [
        (
            "timestamp",
            pa.array([1, 2]),
            r"'timestamp' \(field timestamp\): found type int64, expected timestamps.*--timestamp-format",
        ),
        ("timestamp", pa.array([True, False]), "found type bool, expected timestamps, dates or ISO 8601 text"),
        ("timestamp", pa.array([1.5, 2.5]), "found type double, expected timestamps"),
        ("customer_id", pa.array([[1], [2]]), r"found type list<.*>, expected text or integers"),
        ("amount", pa.array([True, False]), "found type bool, expected numbers, decimals or text"),
        ("quantity", pa.array([b"ab", b"cd"], pa.binary(2)), "found type fixed_size_binary"),
        ("is_return", pa.array([[1], [2]]), "expected booleans"),
    ],
)
def test_a_wrong_type_is_refused_before_a_row_is_read(
    write_parquet: WriteSource, field: str, column: pa.Array, message: str
) -> None:
    columns = {"customer_id": ["a", "b"], "timestamp": ["2017-01-01", "2017-01-02"], field: column}
    with pytest.raises(SourceError, match=message):
        open_source(write_parquet("t.parquet", **columns), {}, None)


def test_the_types_of_the_world_are_accepted(write_parquet: WriteSource) -> None:
    columns = {
        "customer_id": pa.array(["a"]).dictionary_encode(),
        "timestamp": pa.array([0], pa.timestamp("ns", "Europe/Paris")),
        "amount": pa.array([Decimal("1.25")], pa.decimal128(9, 2)),
        "order_id": pa.array(["a"], pa.large_string()),
        "quantity": pa.array([1.5], pa.float32()),
        "store_id": pa.array([1], pa.int16()),
        "channel": pa.nulls(1),
    }
    assert set(open_source(write_parquet("t.parquet", **columns), {}, None).mapping) == set(columns)


def test_a_column_named_twice_is_refused_if_it_is_needed(write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp,x,x", "a,2017-01-01,1,2")
    assert open_source(path, {}, None).mapping == {"customer_id": "customer_id", "timestamp": "timestamp"}
    with pytest.raises(SourceError, match="found the column 'x' more than once"):
        open_source(path, {"amount": "x"}, None)


def test_a_folder_stands_for_the_source_files_below_it_sorted(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    for name in ("b/2.csv", "a/1.parquet", "c.CSV.GZ", "notes.txt", "_SUCCESS", ".hidden.csv", "_temporary/0.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    found = find_files([folder, tmp_path / "other.csv"])
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "orders/a/1.parquet",
        "orders/b/2.csv",
        "orders/c.CSV.GZ",
        "other.csv",
    ]


def test_a_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k\udce4ufe.csv"  # as Latin-1 writes käufe
    path.write_text("customer_id,timestamp\na,2017-01-01\n")
    with pytest.raises(SourceError, match=r"found a name that is not UTF-8.*; rename"):
        open_source(path, {}, None)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="files: found none"):
        find_files([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="found a folder without source files"):
        find_files([tmp_path / "empty"])
