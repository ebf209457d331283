"""Everything that there is to say about each query, in one walk over its rows."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import INDEX, INT32S, INT64S, UINT8S, compile_loop, output
from kernels.loops.summarise_queries import summarise_queries
from kernels.rhythm_columns import UNTOLD
from kernels.summary_columns import SUMMARY_COLUMNS

_COLUMNS = (INT64S, UINT8S, INT64S, INT64S, INT32S, INT32S, INT32S, INT32S, INT32S)
_RHYTHMS = types.Array(types.int64, 2, "C", readonly=True)
_fill = compile_loop((*_COLUMNS, INT64S, INT64S, INT64S, _RHYTHMS, INDEX, INDEX, output(types.float32, 2)))(summarise_queries)


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
    run_chunks(lambda first, stop: _fill(*columns, begin, end, as_of_us, rhythm, first, stop, summary), len(begin))
    return summary
