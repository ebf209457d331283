"""describe_events and describe_situations on a GPU: kernels.loops.describe, a thread per event or query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.description_columns import SITUATION_COLUMNS, TOKEN_COLUMNS
from kernels.loops.describe import describe_queries, describe_rows

_tokens_kernel = compile_kernel(describe_rows)
_situations_kernel = compile_kernel(describe_queries)


def describe_events(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    amount_minor: NDArray[np.int64],
    discount_minor: NDArray[np.int64],
    quantity_milli: NDArray[np.int64],
    num_lines: NDArray[np.int32],
    num_products: NDArray[np.int32],
    num_categories: NDArray[np.int32],
    rating_milli: NDArray[np.int32],
    store_code: NDArray[np.int32],
    channel_code: NDArray[np.int32],
    row: NDArray[np.int64],
    index: NDArray[np.int64],
    first_us: NDArray[np.int64],
) -> NDArray[np.float32]:
    """See kernels.describe_events."""
    tokens = np.empty((len(row), len(TOKEN_COLUMNS)), np.float32)
    columns = (
        timestamp_us,
        kind,
        amount_minor,
        discount_minor,
        quantity_milli,
        num_lines,
        num_products,
        num_categories,
        rating_milli,
        store_code,
        channel_code,
    )
    # the event and the one before it go to the device
    run_queries(
        _tokens_kernel,
        columns,
        row - np.minimum(index, 1),
        row + 1,
        tokens,
        lambda _, stop, queries: (stop - 1, index[queries], first_us[queries]),
    )
    return tokens


def describe_situations(
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    calendar: NDArray[np.float32],
    log_days: NDArray[np.float32],
    calendar_row: NDArray[np.int64],
) -> NDArray[np.float32]:
    """See kernels.describe_situations."""
    situations = np.empty((len(summary), len(SITUATION_COLUMNS)), np.float32)
    query = np.arange(len(summary))
    columns = (summary, last_event_us, as_of_us, calendar_row)
    run_queries(_situations_kernel, columns, query, query + 1, situations, lambda *_: (calendar, log_days))
    return situations
