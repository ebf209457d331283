"""Arriving events against stored ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.history.events import BucketEvents
from engine.history.folding import fold
from engine.ingest.arrival import MergeCounts, meet
from engine.schema import EVENT_SCHEMA, EventKind

Row = tuple[str, int, int, str]  # customer, order key, amount, store


def make_events(rows: Sequence[Row], **constant: Any) -> BucketEvents:
    ids = sorted({row[0] for row in rows})
    stores = sorted({row[3] for row in rows})
    columns = {field.name: np.zeros(len(rows), field.type.to_pandas_dtype()) for field in EVENT_SCHEMA}
    columns["kind"][:] = EventKind.PURCHASE
    columns["order_key"][:] = [row[1] for row in rows]
    columns["amount_minor"][:] = [row[2] for row in rows]
    columns["store_code"][:] = [stores.index(row[3]) for row in rows]
    columns["channel_code"][:] = -1
    for name, value in constant.items():
        columns[name][:] = value
    return BucketEvents(
        customer_ids=pa.array(ids),
        customer=np.array([ids.index(row[0]) for row in rows]),
        columns=columns,
        names={"store_code": pa.array(stores), "channel_code": pa.array([], pa.string())},
    ).sorted()


def list_rows(events: BucketEvents) -> list[Row]:
    return [
        (
            events.customer_ids[customer].as_py(),
            int(events.columns["order_key"][row]),
            int(events.columns["amount_minor"][row]),
            events.names["store_code"][int(events.columns["store_code"][row])].as_py(),
        )
        for row, customer in enumerate(events.customer)
    ]


def meet_and_fold(present: BucketEvents, arriving: BucketEvents) -> tuple[BucketEvents, MergeCounts]:
    """The bucket afterwards."""
    arrival = meet([present], arriving)
    return (fold([present, arrival.events]) if arrival.events.num_events else present), arrival.counts


def test_into_an_empty_bucket_everything_is_new() -> None:
    rows = [("a", 1, 5, "s"), ("b", 1, 5, "s")]
    arrival = meet([], make_events(rows))
    assert list_rows(arrival.events) == rows
    assert arrival.counts == MergeCounts(num_new=2)
    assert arrival.num_new_customers == 2


def test_new_replaced_and_unchanged_are_told_apart() -> None:
    present = make_events([("a", 1, 5, "north"), ("a", 2, 6, "north"), ("c", 1, 7, "south")])
    arriving = make_events([("a", 1, 5, "north"), ("a", 2, 60, "east"), ("b", 1, 8, "west")])
    arrival = meet([present], arriving)
    assert list_rows(arrival.events) == [("a", 2, 60, "east"), ("b", 1, 8, "west")]
    assert arrival.replaced["amount_minor"].tolist() == [6]
    assert arrival.num_new_customers == 1
    assert arrival.counts == MergeCounts(num_new=1, num_replaced=1, num_unchanged=1)
    events = fold([present, arrival.events])
    assert list_rows(events) == [("a", 1, 5, "north"), ("a", 2, 60, "east"), ("b", 1, 8, "west"), ("c", 1, 7, "south")]
    assert events.names["store_code"].to_pylist() == ["east", "north", "south", "west"]


def test_only_the_newest_version_is_compared_with() -> None:
    parts = [make_events([("a", 1, 5, "s")]), make_events([("a", 1, 6, "s"), ("b", 1, 1, "s")])]
    back_again = meet(parts, make_events([("a", 1, 5, "s")]))
    assert back_again.replaced["amount_minor"].tolist() == [6]
    assert back_again.counts == MergeCounts(num_replaced=1)
    assert meet(parts, make_events([("a", 1, 6, "s")])).counts == MergeCounts(num_unchanged=1)
    assert meet(parts, make_events([("a", 1, 6, "s")])).events.num_events == 0


@pytest.mark.parametrize(
    "name", [name for name in EVENT_SCHEMA.names if name not in ("order_key", "kind", "store_code", "channel_code")]
)
def test_a_change_in_any_column_replaces(name: str) -> None:
    rows = [("a", 1, 5, "s")]
    events, counts = meet_and_fold(make_events(rows), make_events(rows, **{name: 2}))
    assert counts == MergeCounts(num_replaced=1)
    assert events.columns[name].tolist() == [2]
    assert events.num_events == 1


def test_a_store_of_another_name_replaces_and_the_old_name_goes() -> None:
    events, counts = meet_and_fold(make_events([("a", 1, 5, "s")]), make_events([("a", 1, 5, "t")]))
    assert counts == MergeCounts(num_replaced=1)
    assert events.names["store_code"].to_pylist() == ["t"]


def test_a_return_under_the_id_of_its_order_joins_the_purchase() -> None:
    order, goods_back = make_events([("a", 1, 5, "s")]), make_events([("a", 1, -5, "s")], kind=EventKind.RETURN)
    events, counts = meet_and_fold(order, goods_back)
    assert counts == MergeCounts(num_new=1)
    assert list_rows(events) == [("a", 1, 5, "s"), ("a", 1, -5, "s")]
    assert events.columns["kind"].tolist() == [EventKind.PURCHASE, EventKind.RETURN]


def test_a_visit_at_another_time_is_another_visit_though_it_names_the_same_order() -> None:
    first = make_events([("a", 1, 0, "s")], kind=EventKind.VISIT, timestamp_us=5)
    second = make_events([("a", 1, 0, "s")], kind=EventKind.VISIT, timestamp_us=6)
    assert meet([first], second).counts == MergeCounts(num_new=1)
    assert meet([first], first).counts == MergeCounts(num_unchanged=1)


def test_counts_add_up() -> None:
    assert MergeCounts(num_new=1, num_replaced=2) + MergeCounts(num_new=3, num_unchanged=4) == MergeCounts(
        num_new=4, num_replaced=2, num_unchanged=4
    )
