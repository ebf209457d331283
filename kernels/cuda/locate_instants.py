"""locate_instants on a GPU: kernels.loops.locate_queries, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import Queries, run_queries
from kernels.loops.locate_queries import locate_queries

_kernel = compile_kernel(locate_queries)


def locate_instants(
    timestamp_us: NDArray[np.int64],
    offsets: NDArray[np.int64],
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
) -> NDArray[np.int64]:
    """See kernels.locate_instants."""
    begin, stop = offsets[customer_index], offsets[customer_index + 1]
    located = np.empty(len(customer_index), np.int64)
    moved_by = np.zeros(len(customer_index), np.int64)  # an answer is a row, and rows move when they are packed

    def arguments(
        begin_there: NDArray[np.int64], stop_there: NDArray[np.int64], queries: Queries
    ) -> tuple[NDArray[np.int64], ...]:
        moved_by[queries] = begin_there - begin[queries]
        # each query as a customer of its own, whose rows begin at an even entry and stop at the odd one after it
        edges = np.stack((begin_there, stop_there), axis=1).reshape(-1)
        return edges, np.arange(0, len(edges), 2), as_of_us[queries]

    run_queries(_kernel, (timestamp_us,), begin, stop, located, arguments)
    return located - moved_by
