"""gap_statistics on the CPU: kernels.loops.measure_gaps over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import BOOLS, INDEX, INT64S, compile_loop, output
from kernels.loops.measure_gaps import NUM_GAP_COLUMNS, measure_gaps

_fill = compile_loop((INT64S, BOOLS, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.float64, 2)))(measure_gaps)


def gap_statistics(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
) -> NDArray[np.float64]:
    """See kernels.gap_statistics and GAP_COLUMNS."""
    statistics = np.empty((len(begin), NUM_GAP_COLUMNS), np.float64)
    run_chunks(lambda first, stop: _fill(timestamp_us, selected, begin, end, as_of_us, first, stop, statistics), len(begin))
    return statistics
