"""Copy each query's last rows into a dense block."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import FLOAT32_ROWS, INDEX, INT64S, compile_loop, output


def gather_sequences(
    values: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    max_length: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """See kernels.gather_sequences."""
    lengths = np.minimum(end - begin, max_length).astype(np.int32)
    # np.zeros, not np.empty: untouched padding costs no memory until it is read
    sequences = np.zeros((len(begin), max_length, values.shape[1]), np.float32)
    run_chunks(lambda first, stop: _fill(values, begin, end, first, stop, sequences), len(begin))
    return sequences, lengths


@compile_loop((FLOAT32_ROWS, INT64S, INT64S, INDEX, INDEX, output(types.float32, 3)))
def _fill(
    values: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    first: int,
    stop: int,
    sequences: NDArray[np.float32],
) -> None:
    max_length = sequences.shape[1]
    num_features = sequences.shape[2]
    for query in range(first, stop):
        start = max(begin[query], end[query] - max_length)
        for row in range(start, end[query]):
            for feature in range(num_features):
                sequences[query, row - start, feature] = values[row, feature]
