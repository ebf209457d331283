"""Events and situations in numbers, one by one: the plain text of what kernels.cpu.describe does in blocks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.description_columns import CALENDAR_COLUMNS, NO_EVENT, SHORTEST_GAP_DAYS, SHORTEST_LOG_DAYS
from kernels.kinds import CONTACT, PURCHASE
from kernels.loops.compilation import compile_part
from kernels.summary_columns import SUMMARY_COLUMNS, TOTAL_DAYS

_DAY_US = 86_400_000_000.0
_WEEK_US = 7 * _DAY_US
_YEAR_US = 365.2425 * _DAY_US
_SINCE_PURCHASE, _MEAN_GAP, _LONGEST_GAP = (
    SUMMARY_COLUMNS.index(name) for name in ("recency_days", "gap_mean_days", "gap_longest_days")
)
_NUM_SUMMARY = len(SUMMARY_COLUMNS)
_NUM_CALENDAR = len(CALENDAR_COLUMNS)
_NUM_OWN = 4 + _NUM_CALENDAR
_NUM_VALUES = _NUM_OWN + _NUM_SUMMARY


@compile_part
def _signed_log(value: float) -> float:
    """sign(x) * log(1 + |x|): keeps the sign of returns and tames heavy tails."""
    return math.log1p(value) if value >= 0 else -math.log1p(-value)


@compile_part
def _log(value: float) -> float:
    """log x, NaN where it is not finite."""
    return math.log(value) if 0 < value < math.inf else math.nan


@compile_part
def _angle(time_us: int, period_us: float) -> float:
    """Where in a period a time lies, in radians."""
    turns = time_us / period_us
    return 2 * math.pi * (turns - math.floor(turns))


def describe_rows(
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
    rows: NDArray[np.int64],
    index: NDArray[np.int64],
    first_us: NDArray[np.int64],
    first: int,
    stop: int,
    tokens: NDArray[np.float32],
) -> None:
    """Fill events [first, stop); index and first_us are the number of the event in its history and the time of number 0."""
    for event in range(first, stop):
        row = rows[event]
        is_first = index[event] == 0
        previous = row if is_first else row - 1
        time_us = timestamp_us[row]
        amount = _signed_log(amount_minor[row] / 100.0)
        discount = abs(float(discount_minor[row]))
        tokens[event, 0] = math.log1p((time_us - timestamp_us[previous]) / _DAY_US)
        tokens[event, 1] = 1.0 if is_first else 0.0
        tokens[event, 2] = amount
        tokens[event, 3] = amount - _signed_log(amount_minor[previous] / 100.0)
        tokens[event, 4] = _signed_log(quantity_milli[row] / 1000.0)
        tokens[event, 5] = math.log1p(float(num_lines[row]))
        tokens[event, 6] = math.log1p(float(num_products[row]))
        tokens[event, 7] = math.log1p(float(num_categories[row]))
        tokens[event, 8] = discount / max(discount + abs(float(amount_minor[row])), 1.0)
        tokens[event, 9] = math.sin(_angle(time_us, _DAY_US))
        tokens[event, 10] = math.cos(_angle(time_us, _DAY_US))
        tokens[event, 11] = math.sin(_angle(time_us, _WEEK_US))
        tokens[event, 12] = math.cos(_angle(time_us, _WEEK_US))
        tokens[event, 13] = math.sin(_angle(time_us, _YEAR_US))
        tokens[event, 14] = math.cos(_angle(time_us, _YEAR_US))
        tokens[event, 15] = 1.0 if not is_first and store_code[row] == store_code[previous] else 0.0
        tokens[event, 16] = 1.0 if not is_first and channel_code[row] == channel_code[previous] else 0.0
        tokens[event, 17] = math.log1p(float(index[event]))
        tokens[event, 18] = math.log1p((time_us - first_us[event]) / _DAY_US)
        tokens[event, 19] = rating_milli[row] / 1000.0 if rating_milli[row] >= 0 else np.nan
        for code in range(PURCHASE, CONTACT + 1):
            tokens[event, 20 + code - PURCHASE] = 1.0 if kind[row] == code else 0.0


def describe_queries(
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    calendar_row: NDArray[np.int64],
    calendar: NDArray[np.float32],
    log_days: NDArray[np.float32],
    first: int,
    stop: int,
    situations: NDArray[np.float32],
) -> None:
    """Fill queries [first, stop); see kernels.describe_situations."""
    for query in range(first, stop):
        since_purchase = float(summary[query, _SINCE_PURCHASE])
        since_event = math.nan if last_event_us[query] == NO_EVENT else (as_of_us[query] - last_event_us[query]) / _DAY_US
        usual = since_purchase + SHORTEST_GAP_DAYS
        situations[query, 0] = _log(1.0 + since_event)
        situations[query, 1] = _log(1.0 + since_purchase)
        situations[query, 2] = _log(usual / (float(summary[query, _MEAN_GAP]) + SHORTEST_GAP_DAYS))
        situations[query, 3] = _log(usual / (float(summary[query, _LONGEST_GAP]) + SHORTEST_GAP_DAYS))
        for column in range(_NUM_CALENDAR):
            situations[query, 4 + column] = calendar[calendar_row[query], column]
        known_days = max(float(log_days[calendar_row[query]]), SHORTEST_LOG_DAYS)
        for column in range(_NUM_SUMMARY):
            value = float(summary[query, column]) * max(1.0, TOTAL_DAYS[column] / known_days)
            situations[query, _NUM_OWN + column] = _signed_log(value) if abs(value) < math.inf else math.nan
        for column in range(_NUM_VALUES):
            is_missing = not abs(situations[query, column]) < math.inf
            situations[query, _NUM_VALUES + column] = 1.0 if is_missing else 0.0
            if is_missing:
                situations[query, column] = math.nan
