"""The events of one bucket while they are being built: like a partition, but writable and with the keys of the orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.schema import EVENT_SCHEMA, ORDER_KINDS
from engine.sorting import argsort_rows
from kernels import merge_texts

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
        return self.take(argsort_rows(self.customer, columns["timestamp_us"], columns["order_key"], columns["kind"]))

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
    customer_ids, first_customer, second_customer = unite(first.customer_ids, second.customer_ids)
    columns: dict[str, NDArray[np.generic]] = {
        name: np.concatenate((first.columns[name], second.columns[name])) for name in NUMERIC_COLUMNS
    }
    names = {}
    for name in CODE_COLUMNS:
        names[name], first_code, second_code = unite(first.names[name], second.names[name])
        codes = [renumber(events.columns[name], place) for events, place in ((first, first_code), (second, second_code))]
        columns[name] = np.concatenate(codes)
    customer = np.concatenate((first_customer[first.customer], second_customer[second.customer]))
    return BucketEvents(customer_ids=customer_ids, customer=customer, columns=_typed(columns), names=names)


def unite(first: pa.StringArray, second: pa.StringArray) -> tuple[pa.StringArray, NDArray[np.int64], NDArray[np.int64]]:
    """(the distinct texts of both ascending by UTF-8 bytes, where each text of the first is in it, and each of the second).

    first, second : ascending, each without duplicates
    """
    first_place, second_place = merge_texts(*_bytes_of(first), *_bytes_of(second))
    num_places = 1 + max(first_place[-1] if len(first) else -1, second_place[-1] if len(second) else -1)
    if num_places == len(first):
        return first, first_place, second_place
    order = np.empty(num_places, np.int64)
    order[second_place] = len(first) + np.arange(len(second))
    order[first_place] = np.arange(len(first))
    return pa.concat_arrays([first, second]).take(pa.array(order)), first_place, second_place


def find_texts(wanted: pa.StringArray, texts: pa.StringArray) -> NDArray[np.int64]:
    """int64[num_wanted]: row of each wanted text, -1 where it is not there. Both ascend, and hold none twice."""
    place, place_of_text = merge_texts(*_bytes_of(wanted), *_bytes_of(texts))
    row = np.searchsorted(place_of_text, place)
    row[row == len(texts)] = -1
    is_there = place_of_text[row] == place if len(texts) else np.zeros(len(wanted), bool)
    return np.where(is_there, row, -1)


def _bytes_of(texts: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of texts, none of them null, and where each begins."""
    if len(texts) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    _, offset_bytes, text_bytes = texts.buffers()
    offsets = np.frombuffer(offset_bytes, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.zeros(0, np.uint8) if text_bytes is None else np.frombuffer(text_bytes, np.uint8), offsets


def renumber(code: NDArray[np.generic], place: NDArray[np.int64]) -> NDArray[np.generic]:
    """Codes in terms of other names, the code itself where nothing moves; codes of -1 stay.

    place : int64[num_names], where each name is now
    """
    if (place == np.arange(len(place))).all():
        return code
    renumbered: NDArray[np.generic] = np.append(place, -1).astype(code.dtype)[code]
    return renumbered


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


def place_texts(texts: pa.StringArray, wanted: pa.StringArray) -> NDArray[np.int64]:
    """Before which row each text belongs; its own row where it is there already.

    texts   : string[num_rows]      ascending by UTF-8 bytes, without duplicates
    wanted  : string[num_wanted]    in any order
    returns : int64[num_wanted], from 0 to num_rows

    All searches step together, log2(num_rows) times: no dictionary per text, so that ten million cost nothing but the file.
    """
    num_wanted, num_rows = len(wanted), len(texts)
    low = np.zeros(num_wanted, np.int64)
    if num_wanted == 0 or num_rows == 0:
        return low
    high = np.full(num_wanted, num_rows, np.int64)
    for _ in range(num_rows.bit_length()):
        middle = np.minimum((low + high) // 2, num_rows - 1)
        is_less = pc.less(texts.take(pa.array(middle)), wanted).to_numpy(zero_copy_only=False)
        searching = low < high
        low = np.where(searching & is_less, middle + 1, low)
        high = np.where(searching & ~is_less, middle, high)
    return low


def find_text(texts: pa.StringArray, wanted: str) -> int:
    """Row of one text, or -1.

    texts : string[num_rows]    ascending by UTF-8 bytes, without duplicates or nulls

    On the bytes at rest: a value of Arrow for each step takes as long as all the rest.
    """
    _, offset_bytes, text_bytes = texts.buffers()
    low, stop = texts.offset, texts.offset + len(texts)
    if low == stop or text_bytes is None:
        return 0 if low < stop and not wanted else -1
    offsets, data, key = memoryview(offset_bytes).cast("B").cast("i"), memoryview(text_bytes).cast("B"), wanted.encode()
    high = stop
    while low < high:
        middle = (low + high) // 2
        if data[offsets[middle] : offsets[middle + 1]].tobytes() < key:
            low = middle + 1
        else:
            high = middle
    return low - texts.offset if low < stop and data[offsets[low] : offsets[low + 1]] == key else -1


def exact_sum(values: NDArray[np.int64]) -> int:
    """The sum as a Python integer, which cannot overflow as int64 could."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _typed(columns: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    return {field.name: columns[field.name].astype(field.type.to_pandas_dtype(), copy=False) for field in EVENT_SCHEMA}
