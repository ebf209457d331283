"""window_sums on the CPU: kernels.loops.sum_queries over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, FLOAT64S, INDEX, INT64S, compile_loop, output
from kernels.loops.sum_queries import sum_queries
from kernels.registry import Number

_fill = compile_loop(
    (INT64S, INT64S, BOOLS, INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.int64, 2)),
    (INT64S, FLOAT64S, BOOLS, INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.float64, 2)),
)(sum_queries)


def window_sums(
    timestamp_us: NDArray[np.int64],
    values: NDArray[Number],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_us: NDArray[np.int64],
) -> NDArray[Number]:
    """See kernels.window_sums; window_us is ascending."""
    sums = np.empty((len(begin), len(window_us)), values.dtype)
    run_chunks(
        lambda first, stop: _fill(timestamp_us, values, selected, begin, end, as_of_us, window_us, first, stop, sums),
        len(begin),
    )
    return sums
