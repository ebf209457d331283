"""The events of one bucket while they are being built: like a partition, but writable and with the keys of the orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.schema import EVENT_SCHEMA, ORDER_KINDS

NUMERIC_COLUMNS: tuple[str, ...] = tuple(name for name in EVENT_SCHEMA.names if name not in ("store_code", "channel_code"))
CODE_COLUMNS: tuple[str, ...] = ("store_code", "channel_code")


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketEvents:
    """Events of the customers of one bucket.

    customer_ids : string[num_customers]     distinct, ascending by UTF-8 bytes, each with at least one event
    customer     : int64[num_events]         index into customer_ids
    columns      : name -> [num_events]      all of engine.schema.EVENT_SCHEMA
    names        : code column -> string[]   distinct, ascending; what its codes stand for
    """

    customer_ids: pa.StringArray
    customer: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.generic]]
    names: Mapping[str, pa.StringArray]

    @property
    def num_events(self) -> int:
        return len(self.customer)

    @property
    def first_event(self) -> NDArray[np.int64]:
        """int64[num_customers]: where each customer begins, in sorted events."""
        return np.searchsorted(self.customer, np.arange(len(self.customer_ids)))

    def sorted(self) -> BucketEvents:
        """By customer, time, order and kind: the one order at rest."""
        columns = self.columns
        order = np.lexsort((columns["kind"], columns["order_key"], columns["timestamp_us"], self.customer))
        return self.take(order)

    def take(self, rows: NDArray[np.integer]) -> BucketEvents:
        """Some events, in the order given; customers and names that none of them uses are dropped."""
        kept, customer = compact(self.customer_ids, self.customer[rows])
        columns: dict[str, NDArray[np.generic]] = {name: self.columns[name][rows] for name in NUMERIC_COLUMNS}
        names = {}
        for name in CODE_COLUMNS:
            names[name], columns[name] = compact(self.names[name], self.columns[name][rows].astype(np.int64))
        return BucketEvents(customer_ids=kept, customer=customer, columns=_typed(columns), names=names)


def concatenate(first: BucketEvents, second: BucketEvents) -> BucketEvents:
    """The events of both, first's rows before second's; the ids and names become common to both."""
    customer_ids, customer = _unite((first.customer_ids, first.customer), (second.customer_ids, second.customer))
    columns: dict[str, NDArray[np.generic]] = {
        name: np.concatenate((first.columns[name], second.columns[name])) for name in NUMERIC_COLUMNS
    }
    names = {}
    for name in CODE_COLUMNS:
        names[name], columns[name] = _unite((first.names[name], first.columns[name]), (second.names[name], second.columns[name]))
    return BucketEvents(customer_ids=customer_ids, customer=customer, columns=_typed(columns), names=names)


def identity(
    columns: Mapping[str, NDArray[np.generic]], rows: NDArray[np.integer] | slice = slice(None)
) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.int64]]:
    """What an event of a customer is known by: order key, kind, and for what is no order its time.

    The kind belongs to it because goods often come back under the id of the order that sold them, weeks later and in another
    file: the return joins the purchase and does not replace it. The time of an order does not: it may be what was corrected.
    """
    kind = columns["kind"][rows]
    timestamp_us = columns["timestamp_us"][rows].astype(np.int64, copy=False)
    return columns["order_key"][rows], kind, np.where(np.isin(kind, ORDER_KINDS), 0, timestamp_us)


def encode_sorted(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.StringArray, NDArray[np.int64]]:
    """(distinct texts ascending by UTF-8 bytes, int64 code of each row), -1 for null."""
    distinct = pc.drop_null(pc.unique(texts))
    distinct = distinct.take(pc.array_sort_indices(distinct))
    code = pc.fill_null(pc.index_in(texts, value_set=distinct), -1)
    return distinct, np.asarray(code).astype(np.int64)


def compact(texts: pa.StringArray, code: NDArray[np.int64]) -> tuple[pa.StringArray, NDArray[np.int64]]:
    """Drop the texts that no code uses; codes of -1 stay."""
    is_used = np.zeros(len(texts), bool)
    is_used[code[code >= 0]] = True
    if is_used.all():
        return texts, code
    renumbered = np.append(np.cumsum(is_used) - 1, -1)  # the last entry is where -1 points
    return texts.filter(pa.array(is_used)), renumbered[code]


def exact_sum(values: NDArray[np.int64]) -> int:
    """The sum as a Python integer, which cannot overflow as int64 could."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _unite(*parts: tuple[pa.StringArray, NDArray[np.generic]]) -> tuple[pa.StringArray, NDArray[np.int64]]:
    """One sorted set of texts for several (texts, code), and all codes behind one another in terms of it."""
    texts, place = encode_sorted(pa.concat_arrays([part_texts for part_texts, _ in parts]))
    codes = []
    start = 0
    for part_texts, part_code in parts:
        renumbered = np.append(place[start : start + len(part_texts)], -1)
        codes.append(renumbered[part_code.astype(np.int64)])
        start += len(part_texts)
    return texts, np.concatenate(codes)


def _typed(columns: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    return {field.name: columns[field.name].astype(field.type.to_pandas_dtype(), copy=False) for field in EVENT_SCHEMA}
