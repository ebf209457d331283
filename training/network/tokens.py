"""Event tokens: what the GRU reads of each event.

A token depends on its own event and earlier ones of the same customer, never on an as-of instant, so the state after an
event is final and may be cached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.partition import Partition
from kernels import TOKEN_COLUMNS, describe_events, resolve

TOKEN_NAMES: tuple[str, ...] = TOKEN_COLUMNS
NUM_TOKEN_FEATURES = len(TOKEN_NAMES)
# The time of year means nothing in a history that saw each season once: it would only tell early from late.
SEASONAL_TOKENS: tuple[int, ...] = (TOKEN_NAMES.index("year_sin"), TOKEN_NAMES.index("year_cos"))


def event_tokens(
    partition: Partition, row: NDArray[np.int64], index: NDArray[np.int64], first_us: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Raw tokens of the given events.

    row      : int64[n]  rows of the events in the partition
    index    : int64[n]  how many events of the same customer came before; the row before is of the last of these
    first_us : int64[n]  time of the customer's first event
    returns  : float32[n, NUM_TOKEN_FEATURES]; columns of TOKEN_NAMES, NaN where not known
    """
    return describe_events(
        partition.timestamp_us,
        partition.kind,
        partition.amount_minor,
        partition.discount_minor,
        partition.quantity_milli,
        partition.num_lines,
        partition.num_products,
        partition.num_categories,
        partition.rating_milli,
        partition.store_code,
        partition.channel_code,
        row,
        index,
        first_us,
    )


def customer_tokens(partition: Partition, begin: int, end: int) -> NDArray[np.float32]:
    """Raw tokens of the events [begin, end) of the one customer of a partition, whose rows nobody need check."""
    return resolve("cpu").describe_events(
        partition.timestamp_us,
        partition.kind,
        partition.amount_minor,
        partition.discount_minor,
        partition.quantity_milli,
        partition.num_lines,
        partition.num_products,
        partition.num_categories,
        partition.rating_milli,
        partition.store_code,
        partition.channel_code,
        np.arange(begin, end),
        np.arange(begin, end),
        np.full(end - begin, partition.timestamp_us[0]),
    )


def all_event_tokens(partition: Partition) -> NDArray[np.float32]:
    """Raw tokens of every event of a partition: float32[num_events, NUM_TOKEN_FEATURES]."""
    row = np.arange(partition.num_events)
    first_row = np.repeat(partition.offsets[:-1], np.diff(partition.offsets))
    return event_tokens(partition, row, row - first_row, partition.timestamp_us[first_row])


def signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(x) * log(1 + |x|): keeps the sign of returns and tames heavy tails."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def circle(turns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sine and cosine of an angle given in whole turns."""
    angle = 2 * np.pi * (turns % 1.0)
    return np.sin(angle), np.cos(angle)
