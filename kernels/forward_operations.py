"""The public operations of the network's forward path, with the same promises as those of `kernels.operations`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, check_rows, require_array
from kernels.description_columns import CALENDAR_COLUMNS
from kernels.registry import resolve
from kernels.summary_columns import SUMMARY_COLUMNS


def describe_events(
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
    row: NDArray[np.int64],
    index: NDArray[np.int64],
    first_us: NDArray[np.int64],
    *,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """Events in numbers: the tokens that a network reads.

    the columns    : [num_events], as in engine.schema.EVENT_SCHEMA; kind as in kernels.kinds; ratings below 0 are "not known"
    row            : int64[n]   the events asked for; the row before, but for a customer's first one, is of the event before
    index          : int64[n]   how many events of the same customer came before
    first_us       : int64[n]   time of the customer's first event
    returns        : float32[n, len(TOKEN_COLUMNS)]; computed in float64; NaN where not known
    raises         : ValueError, if rows lie outside the events

    A token depends on its own event, the one before and the customer's first: log_x is sign(x) log(1 + |x|), gaps and tenure are
    in days, money in major units; the circles of hour, weekday and time of year are of UTC.
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
    row = require_array("row", row, np.int64)
    index = require_array("index", index, np.int64)
    first_us = require_array("first_us", first_us, np.int64)
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
    check_lengths(row=row, index=index, first_us=first_us)
    if len(index) and index.min() < 0:
        raise ValueError(f"index: found {index.min()}, expected 0 or more")
    check_rows(row - np.minimum(index, 1), row + 1, num_events=len(timestamp_us), begin_name="row", stop_name="row + 1")
    return resolve(backend).describe_events(
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
        row,
        index,
        first_us,
    )


def describe_situations(
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    calendar: NDArray[np.float32],
    log_days: NDArray[np.float32],
    calendar_row: NDArray[np.int64],
    *,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """What a customer looks like at an instant, in numbers that a network reads: logarithms, and flags of what is not known.

    A total over a window that reaches back before the log began is scaled up to the whole window: in a log of sixty days, the
    orders of ninety are half as many again. Else the same habit would look busier the older the log gets.

    summary       : float32[n, len(SUMMARY_COLUMNS)]           as `summarise_events` gives it
    last_event_us : int64[n]                                   before the instant; NO_EVENT where there is none
    as_of_us      : int64[n]
    calendar      : float32[num_instants, len(CALENDAR_COLUMNS)]
    log_days      : float32[num_instants]                      from the beginning of the log to the instant
    calendar_row  : int64[n]                                   the row of each query's instant
    returns       : float32[n, len(SITUATION_COLUMNS)]; computed in float64; NaN where undefined, with 1 in its flag
    raises        : ValueError, if shapes or rows do not fit
    """
    summary = require_array("summary", summary, np.float32, num_axes=2)
    last_event_us = require_array("last_event_us", last_event_us, np.int64)
    as_of_us = require_array("as_of_us", as_of_us, np.int64)
    calendar = require_array("calendar", calendar, np.float32, num_axes=2)
    log_days = require_array("log_days", log_days, np.float32)
    calendar_row = require_array("calendar_row", calendar_row, np.int64)
    check_lengths(summary=summary, last_event_us=last_event_us, as_of_us=as_of_us, calendar_row=calendar_row)
    _check_width("summary", summary, len(SUMMARY_COLUMNS))
    _check_width("calendar", calendar, len(CALENDAR_COLUMNS))
    check_lengths(calendar=calendar, log_days=log_days)
    check_rows(calendar_row, calendar_row + 1, num_events=len(calendar), begin_name="calendar_row", stop_name="calendar_row + 1")
    return resolve(backend).describe_situations(summary, last_event_us, as_of_us, calendar, log_days, calendar_row)


def standardise(
    values: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    limit: float,
    *,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """(x - mean) * scale of each column, clipped to +-limit; NaN becomes 0.

    values      : float32[n, num_columns]
    mean, scale : float32[num_columns]
    limit       : above 0
    returns     : float32[n, num_columns]
    raises      : ValueError, if shapes do not fit
    """
    values = require_array("values", values, np.float32, num_axes=2)
    mean = require_array("mean", mean, np.float32)
    scale = require_array("scale", scale, np.float32)
    check_lengths(mean=mean, scale=scale)
    _check_width("values", values, len(mean))
    if not limit > 0:
        raise ValueError(f"limit: found {limit}, expected a number above 0")
    return resolve(backend).standardise(values, mean, scale, limit)


def roll_states(
    tokens: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    initial: NDArray[np.float32],
    input_weight: NDArray[np.float32],
    state_weight: NDArray[np.float32],
    input_bias: NDArray[np.float32],
    state_bias: NDArray[np.float32],
    *,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """State of a gated recurrent unit after the events of each sequence.

    tokens                   : float32[num_events, F]
    begin, end               : int64[n]        rows of each sequence, oldest first; it may be empty
    initial                  : float32[n, D]   states before the first event
    input_weight, input_bias : float32[3 * D, F], float32[3 * D]   reset, update and new gate, as torch.nn.GRU keeps them
    state_weight, state_bias : float32[3 * D, D], float32[3 * D]
    returns                  : float32[n, D]; where begin == end the initial state
    raises                   : ValueError, if rows lie outside the events or shapes do not fit
    source                   : Cho et al. (2014), in torch's form: n = tanh(W x + b + r * (U h + c)), h' = (1 - z) n + z h

    On the CPU a row is the same to the bit whatever else is asked.
    """
    tokens = require_array("tokens", tokens, np.float32, num_axes=2)
    begin = require_array("begin", begin, np.int64)
    end = require_array("end", end, np.int64)
    initial = require_array("initial", initial, np.float32, num_axes=2)
    input_weight = require_array("input_weight", input_weight, np.float32, num_axes=2)
    state_weight = require_array("state_weight", state_weight, np.float32, num_axes=2)
    input_bias = require_array("input_bias", input_bias, np.float32)
    state_bias = require_array("state_bias", state_bias, np.float32)
    check_rows(begin, end, num_events=len(tokens))
    check_lengths(begin=begin, initial=initial)
    num_units = initial.shape[1]
    _check_width("input_weight", input_weight, tokens.shape[1])
    _check_width("state_weight", state_weight, num_units)
    for name, array in (
        ("input_weight", input_weight),
        ("state_weight", state_weight),
        ("input_bias", input_bias),
        ("state_bias", state_bias),
    ):
        if len(array) != 3 * num_units:
            raise ValueError(f"{name}: found {len(array)} rows, expected {3 * num_units}, three gates of {num_units} units")
    return resolve(backend).roll_states(tokens, begin, end, initial, input_weight, state_weight, input_bias, state_bias)


def _check_width(name: str, array: NDArray[np.float32], num_columns: int) -> None:
    if array.shape[1] != num_columns:
        raise ValueError(f"{name}: found {array.shape[1]} columns, expected {num_columns}")
