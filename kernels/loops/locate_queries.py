"""Binary search of each query's instant in its customer's events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def locate_queries(
    timestamp_us: NDArray[np.int64],
    offsets: NDArray[np.int64],
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    first: int,
    stop: int,
    located: NDArray[np.int64],
) -> None:
    """Fill queries [first, stop); see kernels.locate_instants."""
    for query in range(first, stop):
        low = offsets[customer_index[query]]
        high = offsets[customer_index[query] + 1]
        # The instant is often one after everything: then the row that a walk begins with is the only one to be read.
        if low < high and timestamp_us[high - 1] < as_of_us[query]:
            low = high
        while low < high:
            middle = (low + high) // 2
            if timestamp_us[middle] < as_of_us[query]:
                low = middle + 1
            else:
                high = middle
        located[query] = low
