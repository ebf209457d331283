"""Event tokens: what the GRU reads of each event.

A token depends on its own event and earlier ones of the same customer, never on an as-of instant, so the state after an
event is final and may be cached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.partition import Partition
from engine.schema import NO_RATING, EventKind

TOKEN_NAMES: tuple[str, ...] = (
    "log_gap_days",
    "is_first",
    "log_amount",
    "log_amount_change",
    "log_quantity",
    "log_lines",
    "log_products",
    "log_categories",
    "discount_share",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "year_sin",
    "year_cos",
    "same_store",
    "same_channel",
    "log_index",
    "log_tenure_days",
    "rating",
    *(f"is_{kind.name.lower()}" for kind in EventKind),
)
NUM_TOKEN_FEATURES = len(TOKEN_NAMES)
# The time of year means nothing in a history that saw each season once: it would only tell early from late.
SEASONAL_TOKENS: tuple[int, ...] = (TOKEN_NAMES.index("year_sin"), TOKEN_NAMES.index("year_cos"))


def event_tokens(partition: Partition, row: NDArray[np.int64], first_row: NDArray[np.int64]) -> NDArray[np.float32]:
    """Raw tokens of the given events.

    row       : int64[n]  rows of the events in the partition
    first_row : int64[n]  row of the first event of the same customer
    returns   : float32[n, NUM_TOKEN_FEATURES]; columns of TOKEN_NAMES, NaN where not known
    """
    is_first = row == first_row
    previous = np.where(is_first, row, row - 1)
    time_us = partition.timestamp_us[row]
    amount = signed_log(partition.amount_minor[row] / 100.0)
    discount = np.abs(partition.discount_minor[row]).astype(np.float64)
    paid = np.abs(partition.amount_minor[row]).astype(np.float64)
    kind = partition.kind[row]
    rating_milli = partition.rating_milli[row]
    columns = [
        np.log1p((time_us - partition.timestamp_us[previous]) / DAY_US),
        is_first,
        amount,
        amount - signed_log(partition.amount_minor[previous] / 100.0),
        signed_log(partition.quantity_milli[row] / 1000.0),
        np.log1p(partition.num_lines[row]),
        np.log1p(partition.num_products[row]),
        np.log1p(partition.num_categories[row]),
        discount / np.maximum(discount + paid, 1.0),
        *circle(time_us / DAY_US),
        *circle(time_us / (7 * DAY_US)),
        *circle(time_us / (365.2425 * DAY_US)),
        ~is_first & (partition.store_code[row] == partition.store_code[previous]),
        ~is_first & (partition.channel_code[row] == partition.channel_code[previous]),
        np.log1p(row - first_row),
        np.log1p((time_us - partition.timestamp_us[first_row]) / DAY_US),
        np.where(rating_milli == NO_RATING, np.nan, rating_milli / 1000.0),
        *(kind == one for one in EventKind),
    ]
    tokens = np.empty((len(row), NUM_TOKEN_FEATURES), np.float32)
    for index, column in enumerate(columns):
        tokens[:, index] = column
    return tokens


def all_event_tokens(partition: Partition) -> NDArray[np.float32]:
    """Raw tokens of every event of a partition: float32[num_events, NUM_TOKEN_FEATURES]."""
    first_row = np.repeat(partition.offsets[:-1], np.diff(partition.offsets))
    return event_tokens(partition, np.arange(partition.num_events), first_row)


def signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(x) * log(1 + |x|): keeps the sign of returns and tames heavy tails."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def circle(turns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sine and cosine of an angle given in whole turns."""
    angle = 2 * np.pi * (turns % 1.0)
    return np.sin(angle), np.cos(angle)
