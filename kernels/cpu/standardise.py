"""standardise on the CPU: a row is a handful of vectors."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import FLOAT32_ROWS, FLOAT32S, INDEX, compile_loop, output


def standardise(
    values: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32], limit: float
) -> NDArray[np.float32]:
    """See kernels.standardise."""
    standard = np.empty_like(values)
    run_chunks(lambda first, stop: _fill(values, mean, scale, limit, first, stop, standard), len(values))
    return standard


@compile_loop((FLOAT32_ROWS, FLOAT32S, FLOAT32S, types.float32, INDEX, INDEX, output(types.float32, 2)))
def _fill(
    values: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    limit: float,
    first: int,
    stop: int,
    standard: NDArray[np.float32],
) -> None:
    for row in range(first, stop):
        for column in range(values.shape[1]):
            value = (values[row, column] - mean[column]) * scale[column]
            value = value if value < limit else limit if value >= limit else np.float32(0)
            standard[row, column] = value if value > -limit else -limit
