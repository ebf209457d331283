"""What a snapshot keeps of customers, as much of it as reasons are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Some customers as of one instant, each with a purchase before it; all of it is of the events before the instant.

    states           : float32[n, state_size], after the last event
    summary          : float32[n, len(SUMMARY_COLUMNS)], at the instant
    last_order       : float32[n, len(LAST_ORDER_COLUMNS)], as stored
    last_event_us    : int64[n]
    last_purchase_us : int64[n]
    num_events       : int32[n]
    num_orders       : int32[n]
    """

    states: NDArray[np.float32]
    summary: NDArray[np.float32]
    last_order: NDArray[np.float32]
    last_event_us: NDArray[np.int64]
    last_purchase_us: NDArray[np.int64]
    num_events: NDArray[np.int32]
    num_orders: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.states)
