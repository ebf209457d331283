"""Walk forward from each query's first row to the first one that is selected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def find_selected(
    timestamp_us: NDArray[np.int64],
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    stop: NDArray[np.int64],
    first: int,
    last: int,
    found_us: NDArray[np.int64],
) -> None:
    """Fill queries [first, last); see kernels.next_selected."""
    for query in range(first, last):
        found_us[query] = -1
        for row in range(begin[query], stop[query]):
            if selected[row]:
                found_us[query] = timestamp_us[row]
                break
