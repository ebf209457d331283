"""merge_texts on the CPU: two ascending lists of texts, walked side by side."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.compilation import INT32S, UINT8S, compile_loop, output


def merge_texts(
    first: NDArray[np.uint8], first_offsets: NDArray[np.int32], second: NDArray[np.uint8], second_offsets: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """See kernels.run_operations.merge_texts."""
    first_place = np.empty(len(first_offsets) - 1, np.int64)
    second_place = np.empty(len(second_offsets) - 1, np.int64)
    _merge(first, first_offsets, second, second_offsets, first_place, second_place)
    return first_place, second_place


@compile_loop((UINT8S, INT32S, UINT8S, INT32S, output(types.int64, 1), output(types.int64, 1)))
def _merge(
    first: NDArray[np.uint8],
    first_offsets: NDArray[np.int32],
    second: NDArray[np.uint8],
    second_offsets: NDArray[np.int32],
    first_place: NDArray[np.int64],
    second_place: NDArray[np.int64],
) -> None:
    num_first, num_second = len(first_place), len(second_place)
    row = other = place = 0
    while row < num_first or other < num_second:
        difference = -1 if other == num_second else 1  # of what is left of one list alone
        if row < num_first and other < num_second:
            begin, start = first_offsets[row], second_offsets[other]
            length, other_length = first_offsets[row + 1] - begin, second_offsets[other + 1] - start
            difference = length - other_length
            for at in range(min(length, other_length)):
                if first[begin + at] != second[start + at]:
                    difference = -1 if first[begin + at] < second[start + at] else 1
                    break
        if difference <= 0:
            first_place[row] = place
            row += 1
        if difference >= 0:
            second_place[other] = place
            other += 1
        place += 1
