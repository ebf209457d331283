"""count_selected on the CPU: kernels.loops.count_selected over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, INDEX, INT64S, compile_loop, output
from kernels.loops.count_selected import count_selected_rows

_fill = compile_loop((BOOLS, INT64S, INT64S, INDEX, INDEX, output(types.int64, 2)))(count_selected_rows)


def count_selected(selected: NDArray[np.bool_], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """See kernels.count_selected."""
    counted = np.empty((len(begin), 2), np.int64)
    run_chunks(lambda first, stop: _fill(selected, begin, end, first, stop, counted), len(begin))
    return counted
