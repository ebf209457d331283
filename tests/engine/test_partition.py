"""A partition: its sizes, its purchases, and finding a customer in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.history.parts import empty_partition
from engine.partition import Partition
from engine.schema import EVENT_SCHEMA, EventKind


def make_partition(customer_ids: list[str], kinds: list[EventKind]) -> Partition:
    """One event per customer."""
    columns = {
        field.name: np.zeros(len(kinds), field.type.to_pandas_dtype()) for field in EVENT_SCHEMA if field.name != "order_key"
    }
    columns["kind"] = np.array(kinds, np.uint8)
    return Partition(
        customer_ids=pa.array(customer_ids, pa.string()),
        offsets=np.arange(len(customer_ids) + 1),
        store_names=(),
        channel_names=(),
        **columns,
    )


@settings(deadline=None)
@given(
    customer_ids=st.sets(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=20),
    other=st.text("ab𝒵\uffee", max_size=3),
)
def test_find_agrees_with_the_list(customer_ids: set[str], other: str) -> None:
    ordered = sorted(customer_ids, key=str.encode)
    partition = make_partition(ordered, [EventKind.PURCHASE] * len(ordered))
    assert [partition.find(customer_id) for customer_id in ordered] == list(range(len(ordered)))
    assert partition.find(other) == (ordered.index(other) if other in customer_ids else None)


def test_sizes_and_purchases() -> None:
    partition = make_partition(["a", "b", "c"], [EventKind.PURCHASE, EventKind.RETURN, EventKind.VISIT])
    assert (partition.num_customers, partition.num_events) == (3, 3)
    assert partition.is_purchase.tolist() == [True, False, False]


def test_the_empty_partition_has_the_same_types() -> None:
    empty, full = empty_partition(), make_partition(["a"], [EventKind.PURCHASE])
    assert (empty.num_customers, empty.num_events, empty.find("a")) == (0, 0, None)
    assert empty.timestamp_us.dtype == full.timestamp_us.dtype
    assert empty.customer_ids.type == full.customer_ids.type
