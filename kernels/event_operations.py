"""The public operations that read an event whole, column by column, with the same promises as those of `kernels.operations`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, check_rows, require_array, require_rhythms
from kernels.registry import resolve
from kernels.rhythm_columns import UNTOLD


def summarise_events(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    amount_minor: NDArray[np.int64],
    discount_minor: NDArray[np.int64],
    num_lines: NDArray[np.int32],
    num_categories: NDArray[np.int32],
    rating_milli: NDArray[np.int32],
    store_code: NDArray[np.int32],
    channel_code: NDArray[np.int32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    rhythm: NDArray[np.int64] | None = None,
    *,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """Everything that indicators say of each query, in one walk over its rows: the newest first, old ones by time and kind only.

    the columns            : [num_events], as in engine.schema.EVENT_SCHEMA; kind as in kernels.kinds; codes and ratings below
                             0 are "not known"
    begin, end, as_of_us   : int64[num_queries]
    rhythm                 : int64[num_queries, len(RHYTHM_COLUMNS)], of all events of each before end; then events of before
                             RHYTHM_REACH_DAYS are not looked at, nor need they be there. None: it is read off the events
    returns                : float32[num_queries, len(SUMMARY_COLUMNS)]; computed in int64 and float64; NaN where undefined
    raises                 : ValueError, if rows lie outside the events
    see also               : engine.indicators, which says what each column means

    A window of n days holds what is not older than n days. Gaps are whole days between UTC days with a purchase. A change is
    (now - before) / (now + before), so from -1 (gone) to 1 (new). A day has 24 hours.
    """
    timestamp_us = require_array("timestamp_us", timestamp_us, np.int64)
    kind = require_array("kind", kind, np.uint8)
    amount_minor = require_array("amount_minor", amount_minor, np.int64)
    discount_minor = require_array("discount_minor", discount_minor, np.int64)
    num_lines = require_array("num_lines", num_lines, np.int32)
    num_categories = require_array("num_categories", num_categories, np.int32)
    rating_milli = require_array("rating_milli", rating_milli, np.int32)
    store_code = require_array("store_code", store_code, np.int32)
    channel_code = require_array("channel_code", channel_code, np.int32)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    as_of_us = require_array("as_of_us", as_of_us, np.int64)
    check_lengths(
        timestamp_us=timestamp_us,
        kind=kind,
        amount_minor=amount_minor,
        discount_minor=discount_minor,
        num_lines=num_lines,
        num_categories=num_categories,
        rating_milli=rating_milli,
        store_code=store_code,
        channel_code=channel_code,
    )
    check_lengths(begin=begin, as_of_us=as_of_us)
    check_rows(begin, end, num_events=len(timestamp_us))
    rhythm = UNTOLD if rhythm is None else require_rhythms("rhythm", rhythm, begin)
    return resolve(backend).summarise_events(
        timestamp_us,
        kind,
        amount_minor,
        discount_minor,
        num_lines,
        num_categories,
        rating_milli,
        store_code,
        channel_code,
        begin,
        end,
        as_of_us,
        rhythm,
    )


def fingerprint_events(
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
    *,
    backend: str = "cpu",
) -> NDArray[np.uint64]:
    """64 bits of what event tokens read of each query's rows: equal rows have equal ones, others but for a chance of 2^-64 not.

    the columns : [num_events], as in engine.schema.EVENT_SCHEMA
    begin, end  : int64[num_queries]
    covered     : int64[num_queries], in [begin, end]: where a part of the rows ends that is to be known by itself
    returns     : uint64[num_queries, 2], of the rows [begin, covered) and of [begin, end), from one walk
    raises      : ValueError, if rows lie outside the events

    Of stores and channels only counts whether they are those of the row before: codes are numbered anew wherever a name joins.
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
    check_lengths(
        timestamp_us=timestamp_us,
        kind=kind,
        amount_minor=amount_minor,
        discount_minor=discount_minor,
        quantity_milli=quantity_milli,
        num_lines=num_lines,
        num_products=num_products,
        num_categories=num_categories,
        rating_milli=rating_milli,
        store_code=store_code,
        channel_code=channel_code,
    )
    check_rows(begin, covered, num_events=len(timestamp_us), stop_name="covered")
    check_rows(covered, end, num_events=len(timestamp_us), begin_name="covered")
    return resolve(backend).fingerprint_events(
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
        begin,
        covered,
        end,
    )
