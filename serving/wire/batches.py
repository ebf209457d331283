"""Scores in bulk: the columns that go over the wire, and their two encodings."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from engine.errors import RemoteError
from serving.answers import CustomerScore
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.risk import Grade, Tier
from serving.wire.reasons import REASON_FIELDS, has_reasons, read_reason_columns, reason_columns_message

GRADE_NAMES = tuple(grade.name for grade in Grade)
TIER_NAMES = tuple(tier.name.lower() for tier in Tier)

_NAMES_TYPE = pa.dictionary(pa.int8(), pa.string())

# Names, order and units of ScoreColumns in the proto; a reader accepts nothing else, but for the reasons at its end.
BATCH_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("store_id", pa.string(), nullable=False),
        pa.field("last_purchase_us", pa.int64(), nullable=False),
        pa.field("num_orders", pa.int32(), nullable=False),
        pa.field("churn_probability", pa.float32(), nullable=False),
        pa.field("risk_score", pa.float32(), nullable=False),
        pa.field("grade", _NAMES_TYPE, nullable=False),
        pa.field("tier", _NAMES_TYPE, nullable=False),
        pa.field("expected_days_to_purchase", pa.float32(), nullable=False),
        pa.field("expected_spend_90d", pa.float32(), nullable=False),
        pa.field("expected_spend_365d", pa.float32(), nullable=False),
    ]
)

REASONED_SCHEMA = pa.schema([*BATCH_SCHEMA, *REASON_FIELDS])

# A quarter of gRPC's default receive limit: callers need no setting, and one message occupies the server for milliseconds.
_MESSAGE_BYTES = 1 << 20


def customer_scores(batch: pa.RecordBatch) -> list[CustomerScore]:
    """The rows of a batch as values, with their reasons where it has them."""
    columns = {name: batch.column(name).to_pylist() for name in BATCH_SCHEMA.names}
    columns["grade"] = [Grade[name] for name in columns["grade"]]
    columns["tier"] = [Tier[name.upper()] for name in columns["tier"]]
    if has_reasons(batch):
        columns["reasons"] = read_reason_columns(batch)
    return [CustomerScore(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def split_for_messages(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Pieces, in order, that fit a message each. Halving rather than an average, because ids may be 1 byte or 256."""
    if batch.nbytes <= _MESSAGE_BYTES or batch.num_rows <= 1:
        yield batch
        return
    middle = batch.num_rows // 2
    yield from split_for_messages(batch.slice(0, middle))
    yield from split_for_messages(batch.slice(middle))


def columns_message(batch: pa.RecordBatch) -> pb.ScoreColumns:
    """A batch as packed repeated fields."""
    # By way of NumPy also for strings: to_pylist makes a scalar object of every value first, and takes ten times as long.
    columns = {
        name: column.to_numpy(zero_copy_only=False).tolist()
        for name, column in ((name, batch.column(name)) for name in BATCH_SCHEMA.names)
        if not pa.types.is_dictionary(column.type)
    }
    grade, tier = ((batch.column(name).indices.to_numpy() + 1).tolist() for name in ("grade", "tier"))
    reasons = reason_columns_message(batch) if has_reasons(batch) else None
    return pb.ScoreColumns(**columns, grade=grade, tier=tier, reasons=reasons)


def arrow_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as a complete Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_arrow(data: bytes) -> pa.RecordBatch:
    """The reverse, with the schema checked before a value is looked at.

    raises : RemoteError, if the bytes are not one batch of BATCH_SCHEMA or REASONED_SCHEMA
    """
    try:
        reader = pa.ipc.open_stream(data)
        expected = REASONED_SCHEMA if REASON_FIELDS[-1].name in reader.schema.names else BATCH_SCHEMA
        if not reader.schema.equals(expected, check_metadata=True):
            raise RemoteError(f"the server sent columns {reader.schema.to_string()}, expected {expected.to_string()}")
        batch = reader.read_next_batch()
        batch.validate(full=True)
    except (pa.ArrowException, StopIteration, OSError) as error:
        raise RemoteError(f"the server sent bytes that are not one Arrow record batch ({error})") from error
    return batch
