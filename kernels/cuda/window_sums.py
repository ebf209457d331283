"""window_sums on a GPU: kernels.loops.sum_queries, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.sum_queries import sum_queries
from kernels.registry import Number

_kernel = compile_kernel(sum_queries)


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
    run_queries(
        _kernel,
        (timestamp_us, values, selected),
        begin,
        end,
        sums,
        lambda begin, end, queries: (begin, end, as_of_us[queries], window_us),
    )
    return sums
