"""gap_statistics on a GPU: kernels.loops.measure_gaps, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.measure_gaps import NUM_GAP_COLUMNS, measure_gaps

_kernel = compile_kernel(measure_gaps)


def gap_statistics(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
) -> NDArray[np.float64]:
    """See kernels.gap_statistics and GAP_COLUMNS."""
    statistics = np.empty((len(begin), NUM_GAP_COLUMNS), np.float64)
    run_queries(
        _kernel,
        (timestamp_us, selected),
        begin,
        end,
        statistics,
        lambda begin, end, queries: (begin, end, as_of_us[queries]),
    )
    return statistics
