"""The latest row of a kind."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.compilation import INDEX, INT64S, UINT8S, compile_loop, output


def find_latest(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    wanted: int,
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    since_us: int,
    before_us: int,
) -> NDArray[np.int64]:
    """See kernels.tail_operations.find_latest."""
    found = np.empty(len(begin), np.int64)
    _find(timestamp_us, kind, wanted, begin, end, since_us, before_us, found)
    return found


@compile_loop((INT64S, UINT8S, INDEX, INT64S, INT64S, INDEX, INDEX, output(types.int64, 1)))
def _find(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    wanted: int,
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    since_us: int,
    before_us: int,
    found: NDArray[np.int64],
) -> None:
    for query in range(len(begin)):
        found[query] = -1
        row = end[query] - 1
        while row >= begin[query] and timestamp_us[row] >= since_us:
            if kind[row] == wanted and timestamp_us[row] < before_us:
                found[query] = row
                break
            row -= 1
