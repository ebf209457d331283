"""One walk back in time per query: when a row is older than a window, the running count is that window's."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, INDEX, INT64S, compile_loop, output


def window_counts(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_us: NDArray[np.int64],
) -> NDArray[np.int32]:
    """See kernels.operations.window_counts; window_us is ascending."""
    counts = np.empty((len(begin), len(window_us)), np.int32)
    run_chunks(
        lambda first, stop: _fill(timestamp_us, selected, begin, end, as_of_us, window_us, first, stop, counts), len(begin)
    )
    return counts


@compile_loop((INT64S, BOOLS, INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.int32, 2)))
def _fill(
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
