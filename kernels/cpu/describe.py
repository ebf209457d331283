"""describe_events and describe_situations on the CPU, in blocks: LLVM turns the logarithms and sines of a block into vectors.

It does so with loops of plain arithmetic, never with calls of the C library. Hence series in float64: what is stored in float32
is as good as the library's. Both loops stand in one file because they share them, and the cache on disk notices a change of a
loop's own file only. kernels.loops.describe says the same without blocks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import FLOAT32_ROWS, FLOAT32S, FLOAT64S, INDEX, INT32S, INT64S, UINT8S, compile_loop, output
from kernels.description_columns import NO_EVENT, SHORTEST_GAP_DAYS, SHORTEST_LOG_DAYS, SITUATION_COLUMNS, TOKEN_COLUMNS
from kernels.kinds import CONTACT, PURCHASE
from kernels.loops.compilation import compile_part
from kernels.summary_columns import SUMMARY_COLUMNS, TOTAL_DAYS

_BLOCK = 128  # events whose intermediate numbers stay in the first-level cache
# Factors, because dividing takes several times as long.
_MAJOR, _MILLI = 1 / 100, 1 / 1000
_DAYS, _WEEKS, _YEARS = (1 / (days * 86_400_000_000) for days in (1, 7, 365.2425))

# Handed to the loop and not read in it: what is compiled and cached would go on with the places of an earlier layout.
_RECENCY, _MEAN_GAP, _LONGEST_GAP = (
    SUMMARY_COLUMNS.index(name) for name in ("recency_days", "gap_mean_days", "gap_longest_days")
)
_TOTAL_DAYS = np.array(TOTAL_DAYS)
_NUM_ELAPSED = 4  # logarithms beside those of the summary: the first four columns

_LOG_2 = math.log(2)
_MANTISSA_BITS = 52
_HALF_ROOT_BITS = 0x3FE6A09E667F3BCD  # of sqrt(1/2): mantissas are taken from there to sqrt(2)


def _type_bits(_context: Any, _number: Any) -> tuple[Any, Any]:
    return types.int64(types.float64), lambda _context, builder, _signature, values: builder.bitcast(values[0], ir.IntType(64))


def _type_number(_context: Any, _bits: Any) -> tuple[Any, Any]:
    return types.float64(types.int64), lambda _context, builder, _signature, values: builder.bitcast(values[0], ir.DoubleType())


_bits: Any = intrinsic(_type_bits)  # of a float64, as an int64
_number: Any = intrinsic(_type_number)  # the float64 of these bits


@compile_part
def _log(value: float) -> float:
    """Natural logarithm of a positive, normal number: k log 2 + 2 artanh((m - 1) / (m + 1)) for 2^k m; exact to 1e-10 of it."""
    bits: int = _bits(value)
    power = (bits - _HALF_ROOT_BITS) >> _MANTISSA_BITS
    mantissa: float = _number(bits - (power << _MANTISSA_BITS))
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = 1.0 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9 + square * (1 / 11)))))
    return power * _LOG_2 + 2.0 * ratio * series


@compile_part
def _sine(turns: float) -> float:
    """Sine of an angle given in whole turns, to 1e-9."""
    turns -= np.floor(turns + 0.5)
    turns = 0.5 - turns if turns > 0.25 else turns
    turns = -0.5 - turns if turns < -0.25 else turns
    angle = 2.0 * math.pi * turns
    square = angle * angle
    series = 1 / 362880 + square * (-1 / 39916800 + square * (1 / 6227020800))
    return angle * (1.0 + square * (-1 / 6 + square * (1 / 120 + square * (-1 / 5040 + square * series))))


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
) -> NDArray[np.float32]:
    """See kernels.describe_events."""
    tokens = np.empty((len(row), len(TOKEN_COLUMNS)), np.float32)
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
    run_chunks(lambda first, stop: _fill_tokens(*columns, row, index, first_us, first, stop, tokens), len(row))
    return tokens


def describe_situations(
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    calendar: NDArray[np.float32],
    log_days: NDArray[np.float32],
    calendar_row: NDArray[np.int64],
) -> NDArray[np.float32]:
    """See kernels.describe_situations."""
    situations = np.empty((len(summary), len(SITUATION_COLUMNS)), np.float32)
    inputs = (summary, last_event_us, as_of_us, calendar, log_days, calendar_row, _TOTAL_DAYS, _RECENCY, _MEAN_GAP, _LONGEST_GAP)
    run_chunks(lambda first, stop: _fill_situations(*inputs, first, stop, situations), len(summary))
    return situations


_COLUMNS = (INT64S, UINT8S, INT64S, INT64S, INT64S, INT32S, INT32S, INT32S, INT32S, INT32S, INT32S)


@compile_loop((*_COLUMNS, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.float32, 2)))
def _fill_tokens(
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
    first: int,
    stop: int,
    tokens: NDArray[np.float32],
) -> None:
    logs = np.zeros(9 * _BLOCK)
    sines = np.zeros(6 * _BLOCK)
    for start in range(first, stop, _BLOCK):
        count = min(_BLOCK, stop - start)
        for place in range(count):
            event = start + place
            at = row[event]
            previous = at if index[event] == 0 else at - 1
            time_us = timestamp_us[at]
            logs[place] = (time_us - timestamp_us[previous]) * _DAYS
            logs[_BLOCK + place] = abs(amount_minor[at] * _MAJOR)
            logs[2 * _BLOCK + place] = abs(amount_minor[previous] * _MAJOR)
            logs[3 * _BLOCK + place] = abs(quantity_milli[at] * _MILLI)
            logs[4 * _BLOCK + place] = num_lines[at]
            logs[5 * _BLOCK + place] = num_products[at]
            logs[6 * _BLOCK + place] = num_categories[at]
            logs[7 * _BLOCK + place] = index[event]
            logs[8 * _BLOCK + place] = (time_us - first_us[event]) * _DAYS
            sines[place] = time_us * _DAYS
            sines[2 * _BLOCK + place] = time_us * _WEEKS
            sines[4 * _BLOCK + place] = time_us * _YEARS
        for place in range(9 * _BLOCK):
            logs[place] = _log(1.0 + logs[place])
        for period in range(0, 6 * _BLOCK, 2 * _BLOCK):
            for place in range(period, period + _BLOCK):
                turns = sines[place]
                sines[place] = _sine(turns)
                sines[_BLOCK + place] = _sine(turns + 0.25)
        for place in range(count):
            event = start + place
            at = row[event]
            is_first = index[event] == 0
            previous = at if is_first else at - 1
            paid, discount = abs(float(amount_minor[at])), abs(float(discount_minor[at]))
            amount = math.copysign(logs[_BLOCK + place], amount_minor[at])
            tokens[event, 0] = logs[place]
            tokens[event, 1] = is_first
            tokens[event, 2] = amount
            tokens[event, 3] = amount - math.copysign(logs[2 * _BLOCK + place], amount_minor[previous])
            tokens[event, 4] = math.copysign(logs[3 * _BLOCK + place], quantity_milli[at])
            for column in range(3):
                tokens[event, 5 + column] = logs[(4 + column) * _BLOCK + place]
            tokens[event, 8] = discount / max(discount + paid, 1.0)
            for column in range(6):
                tokens[event, 9 + column] = sines[column * _BLOCK + place]
            tokens[event, 15] = not is_first and store_code[at] == store_code[previous]
            tokens[event, 16] = not is_first and channel_code[at] == channel_code[previous]
            tokens[event, 17] = logs[7 * _BLOCK + place]
            tokens[event, 18] = logs[8 * _BLOCK + place]
            tokens[event, 19] = rating_milli[at] * _MILLI if rating_milli[at] >= 0 else np.nan
            for code in range(PURCHASE, CONTACT + 1):
                tokens[event, 20 + code - PURCHASE] = kind[at] == code


@compile_loop(
    (
        *(FLOAT32_ROWS, INT64S, INT64S, FLOAT32_ROWS, FLOAT32S, INT64S, FLOAT64S),
        *(INDEX, INDEX, INDEX, INDEX, INDEX),
        output(types.float32, 2),
    )
)
def _fill_situations(
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    calendar: NDArray[np.float32],
    log_days: NDArray[np.float32],
    calendar_row: NDArray[np.int64],
    total_days: NDArray[np.float64],
    recency: int,
    mean_gap: int,
    longest_gap: int,
    first: int,
    stop: int,
    situations: NDArray[np.float32],
) -> None:
    num_summary, num_calendar = summary.shape[1], calendar.shape[1]
    num_values = _NUM_ELAPSED + num_calendar + num_summary
    logs = np.empty(_NUM_ELAPSED + num_summary)
    for query in range(first, stop):
        since_purchase = float(summary[query, recency])
        has_event = last_event_us[query] != NO_EVENT
        usual = since_purchase + SHORTEST_GAP_DAYS
        logs[0] = 1.0 + (as_of_us[query] - last_event_us[query]) * _DAYS if has_event else np.nan
        logs[1] = 1.0 + since_purchase
        logs[2] = usual / (float(summary[query, mean_gap]) + SHORTEST_GAP_DAYS)
        logs[3] = usual / (float(summary[query, longest_gap]) + SHORTEST_GAP_DAYS)
        share = 1.0 / max(float(log_days[calendar_row[query]]), SHORTEST_LOG_DAYS)
        for column in range(num_summary):
            logs[_NUM_ELAPSED + column] = 1.0 + abs(float(summary[query, column])) * max(1.0, total_days[column] * share)
        for column in range(_NUM_ELAPSED + num_summary):
            argument = logs[column]
            found = _log(argument)
            logs[column] = found if argument > 0.0 and argument < np.inf else np.nan
        for column in range(_NUM_ELAPSED):
            situations[query, column] = logs[column]
        for column in range(num_calendar):
            situations[query, _NUM_ELAPSED + column] = calendar[calendar_row[query], column]
        for column in range(num_summary):
            found = logs[_NUM_ELAPSED + column]
            situations[query, _NUM_ELAPSED + num_calendar + column] = found if summary[query, column] >= 0 else -found
        for column in range(num_values):
            value = situations[query, column]
            is_known = abs(value) < np.inf
            situations[query, column] = value if is_known else np.nan
            situations[query, num_values + column] = 0.0 if is_known else 1.0
