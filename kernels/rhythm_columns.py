"""The columns of a rhythm: what a summary says of all events however old, in whole numbers that new events extend."""

from __future__ import annotations

import numpy as np

from kernels.description_columns import NO_EVENT

RHYTHM_COLUMNS: tuple[str, ...] = (
    "first_event_us",  # NO_EVENT where there is none, and so with the other times
    "num_orders",
    "first_order_us",
    "last_order_us",
    "num_days",  # whole UTC days with a purchase
    "longest_gap_days",  # between two such days
    "latest_gap_days",
    "squared_gap_days",  # their sum
    "last_visit_us",
    "last_login_us",
)
# of a customer without events
NO_RHYTHM: tuple[int, ...] = tuple(NO_EVENT if name.endswith("_us") else 0 for name in RHYTHM_COLUMNS)
# One number in place of rhythms where all is to be read off the events: a GPU takes no empty array.
UNTOLD = np.zeros((1, 1), np.int64)
