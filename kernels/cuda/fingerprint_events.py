"""fingerprint_events on a GPU: kernels.loops.fingerprint_queries, a thread per query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.fingerprint_queries import fingerprint_queries

_kernel = compile_kernel(fingerprint_queries)


def fingerprint_events(
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
    begin: NDArray[np.int64],
    covered: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """See kernels.fingerprint_events."""
    fingerprints = np.empty((len(begin), 2), np.uint64)
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
    num_covered = covered - begin
    run_queries(
        _kernel,
        columns,
        begin,
        end,
        fingerprints,
        lambda begin, end, queries: (begin, begin + num_covered[queries], end),
    )
    return fingerprints
