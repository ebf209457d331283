"""One walk back in time per query: when a row is older than a window, the running count is that window's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def count_queries(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_us: NDArray[np.int64],
    first: int,
    stop: int,
    counts: NDArray[np.int32],
) -> None:
    """Fill queries [first, stop); see kernels.window_counts."""
    num_windows = len(window_us)
    for query in range(first, stop):
        count = 0
        window = 0
        row = end[query] - 1
        while row >= begin[query] and window < num_windows:
            age_us = as_of_us[query] - timestamp_us[row]
            if age_us > window_us[window]:
                counts[query, window] = count
                window += 1
                continue
            if selected[row]:
                count += 1
            row -= 1
        while window < num_windows:
            counts[query, window] = count
            window += 1
