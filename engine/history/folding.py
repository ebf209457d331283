"""Folding: the parts of a bucket as one, where the newest version of an event stands.

Parts are sorted, and a newer one is small beside an older one: its rows are found their places by binary search, and the
older rows are copied in runs. Nothing is sorted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.history.events import CODE_COLUMNS, NUMERIC_COLUMNS, BucketEvents, compact, identity, renumber, unite
from engine.partition import Partition
from engine.schema import EVENT_SCHEMA

Columns = Mapping[str, NDArray[np.generic]]


def fold(parts: Sequence[BucketEvents]) -> BucketEvents:
    """One part that says what several say.

    parts   : one or more, the oldest first, each sorted and without two versions of one event
    returns : sorted; the same bytes as if all events had come in one part
    """
    folded = parts[-1]
    for older in reversed(parts[:-1]):  # the small ones among themselves first
        folded = _fold_two(older, folded)
    return folded


def find_twins(older: BucketEvents, newer: BucketEvents) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The events that both have, as rows of each, side by side.

    Of `older` only the order keys are read, and the rows that they make suspects.
    """
    suspects = _rows_with(older.columns["order_key"], newer.columns["order_key"])
    if len(suspects) == 0:
        return suspects, suspects
    customers, of_suspect = np.unique(older.customer[suspects], return_inverse=True)
    ids = older.customer_ids.take(pa.array(customers))
    known_as = np.asarray(pc.fill_null(pc.index_in(ids, value_set=newer.customer_ids), -1)).astype(np.int64)
    customer = known_as[of_suspect]
    is_known = customer >= 0
    return _match_suspects(suspects[is_known], customer[is_known], older.columns, suspects[is_known], newer)


def _match_suspects(
    suspects: NDArray[np.int64],
    customer: NDArray[np.int64],
    columns: Columns,
    row: NDArray[np.int64],
    newer: BucketEvents,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Suspects that are twins, and the rows of their twins.

    customer : of each suspect, as `newer` numbers them
    row      : of each suspect, in the columns
    """
    keys = [
        np.concatenate((first, second))
        for first, second in zip((customer, *identity(columns, row)), (newer.customer, *identity(newer.columns)), strict=True)
    ]
    order = np.lexsort((*keys, np.arange(len(keys[0])))[::-1])
    has_twin = np.ones(max(len(order) - 1, 0), bool)
    for key in keys:
        has_twin &= key[order[1:]] == key[order[:-1]]
    first, second = order[:-1][has_twin], order[1:][has_twin]
    return suspects[first], second - len(suspects)


def _rows_with(keys: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.int64]:
    """int64[num_found]: the rows whose key is among the wanted."""
    # Keys are hashes, so that their last 16 bits alone dismiss nearly all rows, ten times as fast as a hash table would.
    is_possible = np.zeros(1 << 16, bool)
    is_possible[wanted.astype(np.uint16)] = True
    rows = np.flatnonzero(is_possible[keys.astype(np.uint16)])
    is_wanted: NDArray[np.bool_] = np.asarray(pc.is_in(pa.array(keys[rows]), value_set=pa.array(wanted)), dtype=bool)
    return rows[is_wanted]


def to_partition(events: BucketEvents) -> Partition:
    """Sorted events as readers take them, without a copy."""
    columns = {name: events.columns[name] for name in EVENT_SCHEMA.names if name != "order_key"}
    for values in columns.values():
        values.flags.writeable = False
    return Partition(
        customer_ids=events.customer_ids,
        offsets=np.append(events.first_event, events.num_events),
        store_names=events.names["store_code"].to_pylist(),
        channel_names=events.names["channel_code"].to_pylist(),
        **columns,  # type: ignore[arg-type]  # the schema gives each its type
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Excerpt:
    """Events of some customers of a sorted part, which are not copied before they are merged.

    customer : int64[num_events]      of each, as numbered by what it will be merged with
    row      : int64[num_events]      of each, in the columns; ascending
    columns, names : of the whole part
    """

    customer: NDArray[np.int64]
    row: NDArray[np.int64]
    columns: Columns
    names: Mapping[str, pa.StringArray]


def fold_onto(older: Excerpt, newer: BucketEvents) -> BucketEvents:
    """The events of newer's customers, of which the excerpt has the older versions and the older events.

    returns : sorted as by `fold`; without order keys, which no reader asks for, and with names that maybe no event uses
    """
    suspects = _rows_with(older.columns["order_key"].take(older.row), newer.columns["order_key"])
    replaced, _ = _match_suspects(suspects, older.customer[suspects], older.columns, older.row[suspects], newer)
    columns = tuple(name for name in NUMERIC_COLUMNS if name != "order_key")
    return _merge(older, newer, newer.customer, np.sort(replaced), newer.customer_ids, columns)


def _fold_two(older: BucketEvents, newer: BucketEvents) -> BucketEvents:
    replaced = np.sort(find_twins(older, newer)[0])
    customer_ids, older_customer, newer_customer = unite(older.customer_ids, newer.customer_ids)
    excerpt = Excerpt(
        customer=older_customer[older.customer], row=np.arange(older.num_events), columns=older.columns, names=older.names
    )
    merged = _merge(excerpt, newer, newer_customer[newer.customer], replaced, customer_ids, NUMERIC_COLUMNS)
    if len(replaced) == 0:
        return merged
    names, columns = {}, dict(merged.columns)
    for name in CODE_COLUMNS:  # the last event of a store may have been replaced
        names[name], code = compact(merged.names[name], columns[name].astype(np.int64))
        columns[name] = code.astype(columns[name].dtype)
    return replace(merged, names=names, columns=columns)


def _merge(
    older: Excerpt,
    newer: BucketEvents,
    newer_customer: NDArray[np.int64],
    replaced: NDArray[np.int64],
    customer_ids: pa.StringArray,
    numeric_columns: Sequence[str],
) -> BucketEvents:
    """Both in order, without the older ones that are replaced.

    newer_customer : int64[num_newer], as numbered in the end
    replaced       : of the excerpt's events, ascending
    """
    num_older = len(older.row)
    place = _places(older, newer, newer_customer)
    kept = np.delete(np.arange(num_older), replaced) if len(replaced) else None
    arrived = place + np.arange(newer.num_events) - np.searchsorted(replaced, place)  # rows of the newer events in the end
    is_kept = np.ones(num_older - len(replaced) + newer.num_events, bool)
    is_kept[arrived] = False
    source = np.zeros(len(is_kept), np.int64)
    source[is_kept] = older.row if kept is None else older.row[kept]

    def merge(of_older: NDArray[Any], of_newer: NDArray[Any]) -> NDArray[Any]:
        merged = of_older.take(source, mode="clip") if len(of_older) else np.empty(len(source), of_older.dtype)
        merged[arrived] = of_newer
        return merged

    columns = {name: merge(older.columns[name], newer.columns[name]) for name in numeric_columns}
    names = {}
    for name in CODE_COLUMNS:
        names[name], of_older, of_newer = unite(older.names[name], newer.names[name])
        columns[name] = merge(renumber(older.columns[name], of_older), renumber(newer.columns[name], of_newer))
    customer = np.empty(len(is_kept), np.int64)
    customer[is_kept] = older.customer if kept is None else older.customer[kept]
    customer[arrived] = newer_customer
    return BucketEvents(customer_ids=customer_ids, customer=customer, columns=columns, names=names)


def _places(older: Excerpt, newer: BucketEvents, newer_customer: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[num_newer]: before which of the excerpt's events each newer one belongs."""
    low = np.searchsorted(older.customer, newer_customer)
    high = np.searchsorted(older.customer, newer_customer, side="right")
    names = ("timestamp_us", "order_key", "kind")
    theirs = [older.columns[name] for name in names]
    ours = [newer.columns[name] for name in names]
    while (searching := low < high).any():
        middle = np.where(searching, (low + high) // 2, 0)
        row = older.row[middle]
        is_less = np.zeros(len(low), bool)
        for their, our in zip(reversed(theirs), reversed(ours), strict=True):
            is_less = (their[row] < our) | ((their[row] == our) & is_less)
        low = np.where(searching & is_less, middle + 1, low)
        high = np.where(searching & ~is_less, middle, high)
    return low
