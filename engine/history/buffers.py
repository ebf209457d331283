"""Memory that is used again: what is copied for one bucket lies where that of the bucket before lay.

Fresh memory costs more than the copy that goes into it: the kernel gives it page by page, each of them wiped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROOM = 1.25  # buckets are of about one size, and the largest is seldom the first


class Buffers:
    """Arrays by name, each as long as the longest that was asked for; for one thread.

    buffers = Buffers()
    buffers.take("kind", np.uint8, 1000)  # uint8[1000], holding whatever was there
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def take(self, name: str, dtype: Any, num_rows: int) -> NDArray[Any]:
        """An array of so many rows, in place of the last one of that name."""
        array = self._arrays.get(name)
        if array is None or len(array) < num_rows or array.dtype != dtype:
            array = self._arrays[name] = np.zeros(int(num_rows * _ROOM), dtype)
        return array[:num_rows]
