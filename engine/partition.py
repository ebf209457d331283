"""A partition: the events of some customers as NumPy views, the unit that every computation takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.coverage import EVERYTHING, Coverage
from engine.schema import EventKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Events of some customers, sorted by customer and then time.

    customer_ids : string[num_customers]        ascending by UTF-8 bytes
    offsets      : int64[num_customers + 1]     customer i owns events [offsets[i], offsets[i + 1])
    the columns  : [num_events]                 as in engine.schema.EVENT_SCHEMA
    store_names, channel_names                  what the codes stand for; code -1 is "not known"
    coverage                                    what the log of the whole chain has, not of these customers alone

    The arrays may be read-only views of a memory map: never write to them.
    """

    customer_ids: pa.StringArray
    offsets: NDArray[np.int64]
    timestamp_us: NDArray[np.int64]
    kind: NDArray[np.uint8]
    amount_minor: NDArray[np.int64]
    discount_minor: NDArray[np.int64]
    quantity_milli: NDArray[np.int64]
    num_lines: NDArray[np.int32]
    num_products: NDArray[np.int32]
    num_categories: NDArray[np.int32]
    store_code: NDArray[np.int32]
    channel_code: NDArray[np.int32]
    rating_milli: NDArray[np.int32]
    store_names: Sequence[str]
    channel_names: Sequence[str]
    coverage: Coverage = EVERYTHING

    @property
    def num_customers(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_events(self) -> int:
        return len(self.timestamp_us)

    @property
    def is_purchase(self) -> NDArray[np.bool_]:
        """bool[num_events]: true where the event is an order."""
        purchases: NDArray[np.bool_] = self.kind == EventKind.PURCHASE
        return purchases

    def find(self, customer_id: str) -> int | None:
        """Row of a customer by binary search, or None."""
        low, high = 0, self.num_customers
        wanted = customer_id.encode()
        while low < high:
            middle = (low + high) // 2
            if self.customer_ids[middle].as_py().encode() < wanted:
                low = middle + 1
            else:
                high = middle
        if low < self.num_customers and self.customer_ids[low].as_py() == customer_id:
            return low
        return None
