"""summarise_events on a GPU: kernels.loops.summarise_queries, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import Queries, run_queries
from kernels.loops.summarise_queries import summarise_queries
from kernels.rhythm_columns import UNTOLD
from kernels.summary_columns import SUMMARY_COLUMNS

_kernel = compile_kernel(summarise_queries)


def summarise_events(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    amount_minor: NDArray[np.int64],
    discount_minor: NDArray[np.int64],
    num_lines: NDArray[np.int32],
    num_categories: NDArray[np.int32],
    rating_milli: NDArray[np.int32],
    store_code: NDArray[np.int32],
    channel_code: NDArray[np.int32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    rhythm: NDArray[np.int64] = UNTOLD,
) -> NDArray[np.float32]:
    """See kernels.summarise_events."""
    summary = np.empty((len(begin), len(SUMMARY_COLUMNS)), np.float32)
    columns = (
        timestamp_us,
        kind,
        amount_minor,
        discount_minor,
        num_lines,
        num_categories,
        rating_milli,
        store_code,
        channel_code,
    )

    def arguments(begin: NDArray[np.int64], end: NDArray[np.int64], queries: Queries) -> tuple[NDArray[np.int64], ...]:
        return begin, end, as_of_us[queries], rhythm if rhythm is UNTOLD else rhythm[queries]

    run_queries(_kernel, columns, begin, end, summary, arguments)
    return summary
