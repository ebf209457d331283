"""count_selected on a GPU: kernels.loops.count_selected, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.count_selected import count_selected_rows

_kernel = compile_kernel(count_selected_rows)


def count_selected(selected: NDArray[np.bool_], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """See kernels.count_selected."""
    counted = np.empty((len(begin), 2), np.int64)
    run_queries(_kernel, (selected,), begin, end, counted, lambda begin, end, _: (begin, end))
    return counted
