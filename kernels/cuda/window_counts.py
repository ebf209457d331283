"""window_counts on a GPU: kernels.loops.count_queries, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.count_queries import count_queries

_kernel = compile_kernel(count_queries)


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
    run_queries(
        _kernel,
        (timestamp_us, selected),
        begin,
        end,
        counts,
        lambda begin, end, queries: (begin, end, as_of_us[queries], window_us),
    )
    return counts
