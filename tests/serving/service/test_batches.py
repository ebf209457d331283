"""The encodings of many scores."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.errors import RemoteError
from serving.wire.batches import BATCH_SCHEMA, arrow_bytes, columns_message, read_arrow, split_for_messages

_ROW = {
    "last_purchase_us": 1,
    "num_orders": 2,
    "churn_probability": 0.5,
    "risk_score": 50.0,
    "grade": "Y2",
    "tier": "yellow",
    "expected_days_to_purchase": 9.5,
    "expected_spend_90d": 40.5,
    "expected_spend_365d": 150.25,
}


def batch_of(customer_ids: list[str]) -> pa.RecordBatch:
    # Only the dictionaries of the service hold every grade; here the encoding is what matters.
    return pa.RecordBatch.from_pylist(
        [{"customer_id": customer_id, "store_id": "s", **_ROW} for customer_id in customer_ids], schema=BATCH_SCHEMA
    )


def test_pieces_for_messages_are_small_and_together_the_whole() -> None:
    whole = batch_of([f"{'x' * (250 if number > 9000 else 1)}{number}" for number in range(12_000)])
    pieces = list(split_for_messages(whole))
    assert pa.Table.from_batches(pieces).combine_chunks() == pa.Table.from_batches([whole])
    assert len(pieces) > 1
    for piece in pieces:
        assert len(arrow_bytes(piece)) < 1_200_000
        assert columns_message(piece).ByteSize() < 1_200_000


def test_arrow_bytes_are_read_back() -> None:
    assert read_arrow(arrow_bytes(batch_of(["a", "ü"]))) == batch_of(["a", "ü"])


def test_no_rows_are_rows_too() -> None:
    assert read_arrow(arrow_bytes(batch_of([]))).num_rows == 0
    assert len(list(split_for_messages(batch_of([])))) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not arrow",
        arrow_bytes(batch_of(["a"]))[:-700],
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteError, match="the server sent"):
        read_arrow(data)


def test_other_columns_are_refused() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("customer_id", pa.large_string())])) as writer:
        writer.write_batch(pa.record_batch([pa.array(["a"], pa.large_string())], ["customer_id"]))
    with pytest.raises(RemoteError, match="the server sent columns customer_id: large_string, expected"):
        read_arrow(sink.getvalue().to_pybytes())
