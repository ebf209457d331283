"""The history in plain Python: slow, obvious, and what ingest is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.history import History
from engine.schema import EventKind


@dataclass(frozen=True, kw_only=True)
class Row:
    """One source row."""

    customer_id: str
    timestamp_us: int
    amount: Decimal | None = Decimal("1.00")
    order_id: str | None = None
    quantity: int | None = None
    discount: Decimal | None = None
    store_id: str | None = None
    channel: str | None = None
    product_id: str | None = None
    category: str | None = None
    is_return: bool | None = None
    kind: str | None = None
    rating: Decimal | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class Event:
    """One event as a person would write it down."""

    customer_id: bytes
    timestamp_us: int
    kind: int
    amount_minor: int
    discount_minor: int
    quantity_milli: int
    num_lines: int
    num_products: int
    num_categories: int
    rating_milli: int
    store: str
    channel: str


FIELDS = tuple(name for name in Row.__dataclass_fields__ if name != "timestamp_us")


def write_rows(path: Path, rows: Sequence[Row], fields: Iterable[str] = FIELDS) -> Path:
    """A Parquet file of rows with the timestamp and some of the other fields."""
    money = pa.decimal128(18, 4)
    types = {"amount": money, "discount": money, "rating": money, "quantity": pa.int64(), "is_return": pa.bool_()}
    columns = {"timestamp": pa.array([row.timestamp_us for row in rows], pa.timestamp("us"))}
    for name in fields:
        columns[name] = pa.array([getattr(row, name) for row in rows], types.get(name, pa.string()))
    pq.write_table(pa.table(columns), path)
    return path


def identity(row: Row, fields: Iterable[str] = FIELDS) -> tuple[object, ...]:
    """What the rows of one order have in common, and those of one event that is no order."""
    order_id = row.order_id if "order_id" in fields else None
    key = row.timestamp_us if order_id is None else order_id
    if _is_order(row, set(fields)):
        return row.customer_id, key
    return row.customer_id, key, row.kind, row.timestamp_us


def build_events(rows: Iterable[Row], fields: Iterable[str] = FIELDS) -> list[Event]:
    """The events that a history of these rows must hold, sorted."""
    fields = set(fields)
    orders: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        orders[identity(row, fields)].append(row)
    events = []
    for lines in orders.values():
        by_kind: dict[EventKind, list[Row]] = defaultdict(list)
        for line in lines:
            by_kind[_kind(line, lines, fields)].append(line)
        events.extend(_event(kind, of_kind, fields) for kind, of_kind in by_kind.items())
    return sorted(events)


def decode(history: History) -> list[Event]:
    """The events that a history does hold, sorted; checks on the way that each partition is in order."""
    events = []
    for partition in history.partitions():
        ids = partition.customer_ids.to_pylist()
        assert ids == sorted(ids, key=str.encode)
        assert partition.offsets[0] == 0
        assert partition.offsets[-1] == partition.num_events
        for row, customer_id in enumerate(ids):
            assert history.bucket_of(customer_id) == history.bucket_of(ids[0])
            begin, end = int(partition.offsets[row]), int(partition.offsets[row + 1])
            assert begin < end
            assert list(partition.timestamp_us[begin:end]) == sorted(partition.timestamp_us[begin:end])
            for at in range(begin, end):
                store_code, channel_code = int(partition.store_code[at]), int(partition.channel_code[at])
                events.append(
                    Event(
                        customer_id=customer_id.encode(),
                        timestamp_us=int(partition.timestamp_us[at]),
                        kind=int(partition.kind[at]),
                        amount_minor=int(partition.amount_minor[at]),
                        discount_minor=int(partition.discount_minor[at]),
                        quantity_milli=int(partition.quantity_milli[at]),
                        num_lines=int(partition.num_lines[at]),
                        num_products=int(partition.num_products[at]),
                        num_categories=int(partition.num_categories[at]),
                        rating_milli=int(partition.rating_milli[at]),
                        store=partition.store_names[store_code] if store_code >= 0 else "",
                        channel=partition.channel_names[channel_code] if channel_code >= 0 else "",
                    )
                )
    return sorted(events)


def to_minor(amounts: Iterable[Decimal]) -> int:
    """The sum in minor units, half away from zero."""
    return int((sum(amounts, Decimal(0)) * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _kind(line: Row, lines: Sequence[Row], fields: set[str]) -> EventKind:
    stated = line.kind if "kind" in fields else None
    if stated not in (None, "purchase"):
        return EventKind[stated.upper()]
    silent = [other for other in lines if "kind" not in fields or other.kind in (None, "purchase")]
    if "is_return" in fields:
        is_return = bool(line.is_return)
    elif "amount" in fields:
        is_return = sum(other.amount for other in silent) < 0
    else:
        is_return = sum(_quantity(other, fields) for other in silent) < 0
    return EventKind.RETURN if is_return else EventKind.PURCHASE


def _event(kind: EventKind, lines: Sequence[Row], fields: set[str]) -> Event:
    def seen(name: str) -> set[Any]:
        return {getattr(line, name) for line in lines if name in fields} - {None}

    return Event(
        customer_id=lines[0].customer_id.encode(),
        timestamp_us=min(line.timestamp_us for line in lines),
        kind=int(kind),
        amount_minor=to_minor(_amount(line, fields) for line in lines),
        discount_minor=to_minor(line.discount or Decimal(0) for line in lines if "discount" in fields),
        quantity_milli=sum(1000 * _quantity(line, fields) for line in lines),
        num_lines=len(lines),
        num_products=len(seen("product_id")),
        num_categories=len(seen("category")),
        rating_milli=min((int(rating * 1000) for rating in seen("rating")), default=-1),
        store=min(seen("store_id"), key=str.encode, default=""),
        channel=min(seen("channel"), key=str.encode, default=""),
    )


def _quantity(line: Row, fields: set[str]) -> int:
    if "quantity" in fields and line.quantity is not None:
        return line.quantity
    return int(_is_order(line, fields))


def _amount(line: Row, fields: set[str]) -> Decimal:
    if "amount" in fields:
        return line.amount or Decimal(0)
    return Decimal(int(_is_order(line, fields)))


def _is_order(line: Row, fields: set[str]) -> bool:
    return "kind" not in fields or line.kind in (None, "purchase", "return")
