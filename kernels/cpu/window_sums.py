"""As window_counts, with the values of the rows in place of one each."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, FLOAT64S, INDEX, INT64S, compile_loop, output
from kernels.registry import Number


def window_sums(
    timestamp_us: NDArray[np.int64],
    values: NDArray[Number],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_us: NDArray[np.int64],
) -> NDArray[Number]:
    """See kernels.operations.window_sums; window_us is ascending."""
    sums = np.empty((len(begin), len(window_us)), values.dtype)
    run_chunks(
        lambda first, stop: _fill(timestamp_us, values, selected, begin, end, as_of_us, window_us, first, stop, sums),
        len(begin),
    )
    return sums


@compile_loop(
    (INT64S, INT64S, BOOLS, INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.int64, 2)),
    (INT64S, FLOAT64S, BOOLS, INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.float64, 2)),
)
def _fill(
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
