"""next_selected on a GPU: kernels.loops.find_selected, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.find_selected import find_selected

_kernel = compile_kernel(find_selected)


def next_selected(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    stop: NDArray[np.int64],
) -> NDArray[np.int64]:
    """See kernels.next_selected."""
    found_us = np.empty(len(begin), np.int64)
    run_queries(_kernel, (timestamp_us, selected), begin, stop, found_us, lambda begin, stop, _: (begin, stop))
    return found_us
