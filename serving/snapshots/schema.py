"""The columns of a snapshot's bucket file."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1


def snapshot_schema(num_bins: int) -> pa.Schema:
    """The one schema that a bucket file may have.

    num_bins : hazard bins of the bundle, the length of every `survival` list
    """
    survival = pa.list_(pa.field("item", pa.float32(), nullable=False), num_bins)
    return pa.schema(
        [
            pa.field("customer_id", pa.string(), nullable=False),  # ascending by UTF-8 bytes, unique
            pa.field("store_id", pa.string(), nullable=False),  # where the customer last bought; "" where not known
            pa.field("last_purchase_us", pa.int64(), nullable=False),  # before as_of
            pa.field("num_orders", pa.int32(), nullable=False),  # purchases before as_of
            pa.field("churn_probability", pa.float32(), nullable=False),  # at the bundle's horizon
            pa.field("expected_days_to_purchase", pa.float32(), nullable=False),  # from as_of, up to the last edge
            pa.field("survival", survival, nullable=False),  # P(no purchase before as_of + edges_days[k])
        ]
    )
