"""Count each query's selected rows, and walk back to the last of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def count_selected_rows(
    selected: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    first: int,
    stop: int,
    counted: NDArray[np.int64],
) -> None:
    """Fill queries [first, stop); see kernels.count_selected."""
    for query in range(first, stop):
        count = 0
        for row in range(begin[query], end[query]):
            count += selected[row]
        last = end[query] - 1
        while last >= begin[query] and not selected[last]:
            last -= 1
        counted[query, 0] = count
        counted[query, 1] = last - begin[query]  # -1 where the walk came to the front
