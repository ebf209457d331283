"""gather_sequences on a GPU: a thread per number of the block, padding included, so that neighbours write side by side.

The CPU's loop is not used here: it leaves the padding to the allocator, and a query per thread would write far apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from kernels.cuda.launch import run_queries


def gather_sequences(
    values: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    max_length: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """See kernels.gather_sequences."""
    lengths = np.minimum(end - begin, max_length).astype(np.int32)
    num_features = values.shape[1]
    sequences = np.empty((len(begin), max_length, num_features), np.float32)
    run_queries(
        _kernel,
        (values,),
        end - lengths,
        end,
        sequences,
        lambda begin, end, _: (begin, end),
        threads_per_query=max_length * num_features,
    )
    return sequences, lengths


def _copy_number(inputs: Any, num_threads: int, sequences: Any) -> None:
    values, begin, end = inputs
    index = cuda.grid(1)
    if index < num_threads:
        max_length = sequences.shape[1]
        num_features = sequences.shape[2]
        query = index // (max_length * num_features)
        position = index // num_features % max_length
        feature = index % num_features
        row = begin[query] + position
        sequences[query, position, feature] = values[row, feature] if row < end[query] else np.float32(0)


_kernel = cuda.jit(_copy_number)
