"""Two walks over each query's rows: the first finds the span and the extremes, the second the spread around the mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

NUM_GAP_COLUMNS = 6

_DAY_US = 86_400_000_000.0


def measure_gaps(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    first: int,
    stop: int,
    statistics: NDArray[np.float64],
) -> None:
    """Fill queries [first, stop); see kernels.gap_statistics."""
    for query in range(first, stop):
        num_selected = 0
        first_us = 0
        last_us = 0
        longest_us = 0
        latest_us = 0
        for row in range(begin[query], end[query]):
            if selected[row]:
                if num_selected == 0:
                    first_us = timestamp_us[row]
                else:
                    latest_us = timestamp_us[row] - last_us
                    longest_us = max(longest_us, latest_us)
                last_us = timestamp_us[row]
                num_selected += 1
        num_gaps = max(num_selected - 1, 0)
        statistics[query, 0] = num_gaps
        for column in range(1, NUM_GAP_COLUMNS):
            statistics[query, column] = np.nan
        if num_selected > 0:
            statistics[query, 5] = (as_of_us[query] - last_us) / _DAY_US
        if num_gaps > 0:
            # the gaps add up to the span exactly, in integers
            mean_us = (last_us - first_us) / num_gaps
            statistics[query, 1] = mean_us / _DAY_US
            statistics[query, 3] = longest_us / _DAY_US
            statistics[query, 4] = latest_us / _DAY_US
        if num_gaps > 1:
            squares = 0.0
            previous_us = first_us
            for row in range(begin[query], end[query]):
                # the first selected row meets itself here, and its gap of 0 is none
                if selected[row]:
                    num_selected -= 1
                    if num_selected < num_gaps:
                        deviation = (timestamp_us[row] - previous_us - mean_us) / _DAY_US
                        squares += deviation * deviation
                    previous_us = timestamp_us[row]
            statistics[query, 2] = math.sqrt(squares / num_gaps)
