"""locate_instants on the CPU: kernels.loops.locate_queries over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import INDEX, INT64S, compile_loop, output
from kernels.loops.locate_queries import locate_queries

_fill = compile_loop((INT64S, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.int64, 1)))(locate_queries)


def locate_instants(
    timestamp_us: NDArray[np.int64],
    offsets: NDArray[np.int64],
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
) -> NDArray[np.int64]:
    """See kernels.locate_instants."""
    located = np.empty(len(customer_index), np.int64)
    run_chunks(
        lambda first, stop: _fill(timestamp_us, offsets, customer_index, as_of_us, first, stop, located), len(customer_index)
    )
    return located
