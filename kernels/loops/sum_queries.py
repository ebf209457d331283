"""As count_queries, with the values of the rows in place of one each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.registry import Number


def sum_queries(
    timestamp_us: NDArray[np.int64],
    values: NDArray[Number],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_us: NDArray[np.int64],
    first: int,
    stop: int,
    sums: NDArray[Number],
) -> None:
    """Fill queries [first, stop); see kernels.window_sums."""
    num_windows = len(window_us)
    for query in range(first, stop):
        total = values.dtype.type(0)  # of the values' own type: an int64 sum must not pass through float64
        window = 0
        row = end[query] - 1
        while row >= begin[query] and window < num_windows:
            age_us = as_of_us[query] - timestamp_us[row]
            if age_us > window_us[window]:
                sums[query, window] = total
                window += 1
                continue
            if selected[row]:
                total += values[row]
            row -= 1
        while window < num_windows:
            sums[query, window] = total
            window += 1
