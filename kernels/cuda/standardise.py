"""standardise on a GPU: a thread per number, so that neighbours write side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from kernels.cuda.launch import run_queries


def standardise(
    values: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32], limit: float
) -> NDArray[np.float32]:
    """See kernels.standardise."""
    standard = np.empty_like(values)
    row = np.arange(len(values))
    limits = np.array([limit], np.float32)
    run_queries(_kernel, (values,), row, row + 1, standard, lambda *_: (mean, scale, limits), threads_per_query=values.shape[1])
    return standard


def _standardise_number(inputs: Any, num_threads: int, standard: Any) -> None:
    values, mean, scale, limits = inputs
    index = cuda.grid(1)
    if index < num_threads:
        row, column = index // values.shape[1], index % values.shape[1]
        value = (values[row, column] - mean[column]) * scale[column]
        if value != value:
            value = np.float32(0)
        standard[row, column] = min(max(value, -limits[0]), limits[0])


_kernel = cuda.jit(_standardise_number)
