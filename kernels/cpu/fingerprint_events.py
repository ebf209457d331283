"""fingerprint_events and extend_fingerprints on the CPU: kernels.loops.fingerprint_queries over ranges of queries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import INDEX, INT32S, INT64S, UINT8S, compile_loop, output
from kernels.loops.fingerprint_queries import extend_queries, fingerprint_queries

_COLUMNS = (INT64S, UINT8S, INT64S, INT64S, INT64S, INT32S, INT32S, INT32S, INT32S, INT32S, INT32S)
_fill = compile_loop((*_COLUMNS, INT64S, INT64S, INT64S, INDEX, INDEX, output(types.uint64, 2)))(fingerprint_queries)
_UINT64S = types.Array(types.uint64, 1, "C", readonly=True)
_extend = compile_loop((*_COLUMNS, INT64S, INT64S, INT64S, _UINT64S, INDEX, INDEX, output(types.uint64, 1)))(extend_queries)


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
    run_chunks(lambda first, stop: _fill(*columns, begin, covered, end, first, stop, fingerprints), len(begin))
    return fingerprints


def extend_fingerprints(
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
    known: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """See kernels.tail_operations.extend_fingerprints."""
    fingerprints = np.empty(len(begin), np.uint64)
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
    run_chunks(lambda first, stop: _extend(*columns, begin, covered, end, known, first, stop, fingerprints), len(begin))
    return fingerprints
