"""The public operations: arguments are checked here once, so that every backend is nothing but loops.

A query is one (customer, instant). Its visible rows are [begin, end) of the event arrays: begin is where the customer's
events begin, end comes from `locate_instants`. Events of one customer are ascending in time; that is the caller's promise
and is not checked, as it would cost a pass over all events.

Arrays may be read-only memory maps. One that is not contiguous is copied; one of another dtype is refused with a
ValueError, because a silent cast of a memory-mapped column would cost more than the operation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, check_offsets, check_rows, require_array, window_lengths_us
from kernels.registry import Number, resolve

# days, but for num_gaps; a gap lies between two selected rows that follow each other
GAP_COLUMNS: tuple[str, ...] = ("num_gaps", "mean", "std", "longest", "latest", "elapsed")


def locate_instants(
    timestamp_us: NDArray[np.int64],
    offsets: NDArray[np.int64],
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    backend: str = "cpu",
) -> NDArray[np.int64]:
    """First row of each query's customer at or after the instant: what lies before it is what the query may see.

    timestamp_us   : int64[num_events]           UTC, ascending within a customer
    offsets        : int64[num_customers + 1]    customer i owns [offsets[i], offsets[i + 1])
    customer_index : int64[num_queries]
    as_of_us       : int64[num_queries]
    returns        : int64[num_queries], in [offsets[customer], offsets[customer + 1]]
    raises         : ValueError, if offsets do not cover timestamp_us or a customer does not exist
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    offsets = require_array("offsets", offsets, np.int64)
    customer_index = require_array("customer_index", customer_index, np.int64)
    as_of_us = require_array("as_of_us", as_of_us, np.int64)
    check_lengths(customer_index=customer_index, as_of_us=as_of_us)
    check_offsets(offsets, customer_index, num_events=len(timestamp_us))
    return resolve(backend).locate_instants(timestamp_us, offsets, customer_index, as_of_us)


def next_selected(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    stop: NDArray[np.int64],
    *,
    backend: str = "cpu",
) -> NDArray[np.int64]:
    """Timestamp of the first selected row in [begin, stop), -1 if there is none.

    timestamp_us, selected : int64, bool[num_events]
    begin, stop            : int64[num_queries]
    returns                : int64[num_queries]
    raises                 : ValueError, if rows lie outside the events
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    selected = require_array("selected", selected, np.bool_)
    begin = require_array("begin", begin, np.int64)
    stop = require_array("stop", stop, np.int64)
    check_lengths(timestamp_us=timestamp_us, selected=selected)
    check_rows(begin, stop, num_events=len(timestamp_us), stop_name="stop")
    return resolve(backend).next_selected(timestamp_us, selected, begin, stop)


def count_selected(
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    *,
    backend: str = "cpu",
) -> NDArray[np.int64]:
    """How many rows of each query are selected, and which is the last of them.

    selected   : bool[num_events]
    begin, end : int64[num_queries]
    returns    : int64[num_queries, 2], the number, and the place of the last among the query's rows; -1 where there is none
    raises     : ValueError, if rows lie outside the events
    """
    selected = require_array("selected", selected, np.bool_)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    check_rows(begin, end, num_events=len(selected))
    return resolve(backend).count_selected(selected, begin, end)


def window_counts(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_days: NDArray[np.float64],
    *,
    backend: str = "cpu",
) -> NDArray[np.int32]:
    """Selected events of each query in the days before its instant: as_of - window <= t.

    timestamp_us, selected : int64, bool[num_events]
    begin, end             : int64[num_queries]          end as from `locate_instants`
    as_of_us               : int64[num_queries]
    window_days            : float64[num_windows]        each > 0, in any order; inf for all of the past
    returns                : int32[num_queries, num_windows]
    raises                 : ValueError, if rows lie outside the events or a window is not positive
    source                 : Fader, Hardie & Lee (2005), Marketing Science 24(2), for recency and frequency
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    selected = require_array("selected", selected, np.bool_)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    as_of_us = require_array("as_of_us", as_of_us, np.int64)
    check_lengths(timestamp_us=timestamp_us, selected=selected)
    check_lengths(begin=begin, as_of_us=as_of_us)
    check_rows(begin, end, num_events=len(timestamp_us))
    window_us, columns = window_lengths_us(window_days)
    counts = resolve(backend).window_counts(timestamp_us, selected, begin, end, as_of_us, window_us)
    return counts if columns is None else counts[:, columns]


def window_sums(
    timestamp_us: NDArray[np.int64],
    values: NDArray[Number],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_days: NDArray[np.float64],
    *,
    backend: str = "cpu",
) -> NDArray[Number]:
    """Sum of the values of the rows that `window_counts` counts; a window without rows sums to 0.

    values  : int64 or float64[num_events]; int64 sums are exact, float64 ones add the newest row first
    returns : [num_queries, num_windows] of the dtype of values
    raises  : ValueError, as `window_counts` does
    see also: window_counts, for the other arguments
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    selected = require_array("selected", selected, np.bool_)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    as_of_us = require_array("as_of_us", as_of_us, np.int64)
    if values.dtype != np.int64 and values.dtype != np.float64:
        raise ValueError(f"values: found {values.dtype}, expected int64 or float64")
    values = require_array("values", values, values.dtype.type)
    check_lengths(timestamp_us=timestamp_us, values=values, selected=selected)
    check_lengths(begin=begin, as_of_us=as_of_us)
    check_rows(begin, end, num_events=len(timestamp_us))
    window_us, columns = window_lengths_us(window_days)
    sums = resolve(backend).window_sums(timestamp_us, values, selected, begin, end, as_of_us, window_us)
    return sums if columns is None else sums[:, columns]


def gap_statistics(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    backend: str = "cpu",
) -> NDArray[np.float64]:
    """The rhythm of each query's selected rows, in days.

    timestamp_us, selected : int64, bool[num_events]
    begin, end, as_of_us   : int64[num_queries]
    returns                : float64[num_queries, 6], columns as in GAP_COLUMNS. num_gaps is never NaN; mean, longest and
                             latest are NaN without a gap; std (of the population) with fewer than two; elapsed (from the
                             last selected row to the instant) without a selected row
    raises                 : ValueError, if rows lie outside the events
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    selected = require_array("selected", selected, np.bool_)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    as_of_us = require_array("as_of_us", as_of_us, np.int64)
    check_lengths(timestamp_us=timestamp_us, selected=selected)
    check_lengths(begin=begin, as_of_us=as_of_us)
    check_rows(begin, end, num_events=len(timestamp_us))
    return resolve(backend).gap_statistics(timestamp_us, selected, begin, end, as_of_us)


def gather_sequences(
    values: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    max_length: int,
    *,
    backend: str = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The last rows of each query as one dense block, oldest first.

    values     : float32[num_events, num_features]
    begin, end : int64[num_queries]
    max_length : > 0; of a longer sequence the last max_length rows are kept
    returns    : float32[num_queries, max_length, num_features], padded with 0 on the right, and the int32[num_queries] lengths
    raises     : ValueError, if rows lie outside the events or max_length is not positive
    """
    values = require_array("values", values, np.float32, num_axes=2)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    check_rows(begin, end, num_events=len(values))
    if max_length < 1:
        raise ValueError(f"max_length: found {max_length}, expected at least 1")
    return resolve(backend).gather_sequences(values, begin, end, max_length)


def hash_strings(data: NDArray[np.uint8], string_offsets: NDArray[np.int64], *, backend: str = "cpu") -> NDArray[np.uint64]:
    """XXH64 with seed 0 of each string: the same on every machine and in every language.

    data           : uint8[num_bytes]
    string_offsets : int64[num_strings + 1]   string i is data[string_offsets[i]:string_offsets[i + 1]]; may begin after 0
    returns        : uint64[num_strings]
    raises         : ValueError, if offsets descend or leave the data
    source         : https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
    """
    data = require_array("data", data, np.uint8)
    string_offsets = require_array("string_offsets", string_offsets, np.int64)
    if len(string_offsets) == 0:
        raise ValueError("string_offsets: found an empty array, expected one more entry than there are strings")
    check_rows(
        string_offsets[:-1], string_offsets[1:], num_events=len(data), begin_name="string_offsets", stop_name="string_offsets"
    )
    return resolve(backend).hash_strings(data, string_offsets)
