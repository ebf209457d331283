"""window_counts on the CPU: kernels.loops.count_queries over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, INDEX, INT64S, compile_loop, output
from kernels.loops.count_queries import count_queries

_fill = compile_loop((INT64S, BOOLS, INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.int32, 2)))(count_queries)


def window_counts(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    window_us: NDArray[np.int64],
) -> NDArray[np.int32]:
    """See kernels.window_counts; window_us is ascending."""
    counts = np.empty((len(begin), len(window_us)), np.int32)
    run_chunks(
        lambda first, stop: _fill(timestamp_us, selected, begin, end, as_of_us, window_us, first, stop, counts), len(begin)
    )
    return counts
