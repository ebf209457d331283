"""next_selected on the CPU: kernels.loops.find_selected over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, INDEX, INT64S, compile_loop, output
from kernels.loops.find_selected import find_selected

_fill = compile_loop((INT64S, BOOLS, INT64S, INT64S, INDEX, INDEX, output(types.int64, 1)))(find_selected)


def next_selected(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    stop: NDArray[np.int64],
) -> NDArray[np.int64]:
    """See kernels.next_selected."""
    found_us = np.empty(len(begin), np.int64)
    run_chunks(lambda first, last: _fill(timestamp_us, selected, begin, stop, first, last, found_us), len(begin))
    return found_us
