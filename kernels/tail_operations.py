"""Operations of those who know most of a history already, and read the last rows of each customer alone.

On the CPU alone: so few rows are read sooner than they come to a device.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, check_rows, require_array, require_rhythms

# How far back `summarise_events` reads more of a row than its time and kind, and how far these where it is given rhythms.
SUMMARY_REACH_DAYS = 180
RHYTHM_REACH_DAYS = 365


def find_latest(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    wanted: int,
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    since_us: int,
    before_us: int,
) -> NDArray[np.int64]:
    """The last row of a kind of each query in [since_us, before_us); nothing older is looked at.

    timestamp_us, kind : [num_events], times ascending within a query
    wanted             : one of kernels.kinds
    begin, end         : int64[num_queries]
    returns            : int64[num_queries], -1 where there is none
    raises             : ValueError, if rows lie outside the events
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    kind = require_array("kind", kind, np.uint8)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    check_lengths(timestamp_us=timestamp_us, kind=kind)
    check_rows(begin, end, num_events=len(kind))
    from kernels.cpu import find_latest as find  # importing kernels must not wait for the compiler

    return find(timestamp_us, kind, wanted, begin, end, since_us, before_us)


def extend_rhythms(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    known: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The rhythm of customers after the rows [begin, end), from that before them.

    timestamp_us, kind : [num_events], times ascending within a query
    begin, end         : int64[num_queries]
    known              : int64[num_queries, len(RHYTHM_COLUMNS)]; NO_RHYTHM where there are no rows before begin
    returns            : int64[num_queries, len(RHYTHM_COLUMNS)]; where begin == end what was known
    raises             : ValueError, if rows lie outside the events
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    kind = require_array("kind", kind, np.uint8)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    known = require_rhythms("known", known, begin)
    check_lengths(timestamp_us=timestamp_us, kind=kind)
    check_rows(begin, end, num_events=len(kind))
    from kernels.cpu import extend_rhythms as extend

    return extend(timestamp_us, kind, begin, end, known)


def extend_fingerprints(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    amount_minor: NDArray[np.int64],
    discount_minor: NDArray[np.int64],
    quantity_milli: NDArray[np.int64],
    num_lines: NDArray[np.int32],
    num_products: NDArray[np.int32],
    num_categories: NDArray[np.int32],
    rating_milli: NDArray[np.int32],
    store_code: NDArray[np.int32],
    channel_code: NDArray[np.int32],
    begin: NDArray[np.int64],
    covered: NDArray[np.int64],
    end: NDArray[np.int64],
    known: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """`fingerprint_events` of the rows [begin, end) from that of the rows [begin, covered), of which only the last is read.

    known   : uint64[num_queries], of the rows [begin, covered)
    returns : uint64[num_queries]
    raises  : ValueError, if rows lie outside the events
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    kind = require_array("kind", kind, np.uint8)
    amount_minor = require_array("amount_minor", amount_minor, np.int64)
    discount_minor = require_array("discount_minor", discount_minor, np.int64)
    quantity_milli = require_array("quantity_milli", quantity_milli, np.int64)
    num_lines = require_array("num_lines", num_lines, np.int32)
    num_products = require_array("num_products", num_products, np.int32)
    num_categories = require_array("num_categories", num_categories, np.int32)
    rating_milli = require_array("rating_milli", rating_milli, np.int32)
    store_code = require_array("store_code", store_code, np.int32)
    channel_code = require_array("channel_code", channel_code, np.int32)
    begin = require_array("begin", begin, np.int64)
    covered = require_array("covered", covered, np.int64)
    end = require_array("end", end, np.int64)
    known = require_array("known", known, np.uint64)
    columns = (
        timestamp_us,
        kind,
        amount_minor,
        discount_minor,
        quantity_milli,
        num_lines,
        num_products,
        num_categories,
        rating_milli,
        store_code,
        channel_code,
    )
    for column in columns:
        check_lengths(timestamp_us=timestamp_us, column=column)
    check_lengths(begin=begin, known=known)
    check_rows(begin, covered, num_events=len(timestamp_us), stop_name="covered")
    check_rows(covered, end, num_events=len(timestamp_us), begin_name="covered")
    from kernels.cpu import extend_fingerprints as extend

    return extend(*columns, begin, covered, end, known)
