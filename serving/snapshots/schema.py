"""The columns of a snapshot's bucket file: the scores that are served, and the memory that the next scoring begins from."""

from __future__ import annotations

import pyarrow as pa

from engine.last_orders import LAST_ORDER_COLUMNS
from kernels import RHYTHM_COLUMNS, SUMMARY_COLUMNS

SCHEMA_VERSION = 7

MEMORY_COLUMNS: tuple[str, ...] = ("num_events", "last_event_us", "fingerprint", "rhythm", "last_order", "state", "summary")


def snapshot_schema(num_bins: int, state_size: int) -> pa.Schema:
    """The one schema that a bucket file may have.

    num_bins   : hazard bins of the bundle, the length of every `survival` list
    state_size : width of the bundle's states, the length of every `state` list
    """
    return pa.schema(
        [
            pa.field("customer_id", pa.string(), nullable=False),  # ascending by UTF-8 bytes, unique
            pa.field("store_id", pa.string(), nullable=False),  # where the customer last bought; "" where not known
            pa.field("last_purchase_us", pa.int64(), nullable=False),  # before as_of
            pa.field("num_orders", pa.int32(), nullable=False),  # purchases before as_of
            pa.field("churn_probability", pa.float32(), nullable=False),  # at the bundle's horizon
            pa.field("expected_days_to_purchase", pa.float32(), nullable=False),  # from as_of, up to the last edge
            pa.field("expected_spend_90d", pa.float32(), nullable=False),  # currency, or orders: inputs.has_amounts
            pa.field("expected_spend_365d", pa.float32(), nullable=False),
            pa.field("survival", _floats(num_bins), nullable=False),  # P(no purchase before as_of + edges_days[k])
            pa.field("num_events", pa.int32(), nullable=False),  # of every kind before as_of, which the state covers
            pa.field("last_event_us", pa.int64(), nullable=False),  # of the last of these
            pa.field("fingerprint", pa.uint64(), nullable=False),  # of these events, as `fingerprint_events` takes it
            pa.field("rhythm", _lists(pa.int64(), len(RHYTHM_COLUMNS)), nullable=False),  # RHYTHM_COLUMNS, of these events
            pa.field("last_order", _floats(len(LAST_ORDER_COLUMNS)), nullable=False),  # LAST_ORDER_COLUMNS, of the last purchase
            pa.field("state", _floats(state_size), nullable=False),  # the GRU's, after the last of these
            pa.field("summary", _floats(len(SUMMARY_COLUMNS)), nullable=False),  # SUMMARY_COLUMNS at as_of; NaN: not known
        ]
    )


def _floats(length: int) -> pa.DataType:
    return _lists(pa.float32(), length)


def _lists(of: pa.DataType, length: int) -> pa.DataType:
    return pa.list_(pa.field("item", of, nullable=False), length)
