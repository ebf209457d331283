"""extend_rhythms on the CPU: the rows of each customer that its rhythm has yet to see, oldest first."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import INDEX, INT64S, UINT8S, compile_loop, output
from kernels.description_columns import NO_EVENT
from kernels.kinds import LOGIN, PURCHASE, VISIT

_DAY_US = 86_400_000_000


def extend_rhythms(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    known: NDArray[np.int64],
) -> NDArray[np.int64]:
    """See kernels.tail_operations.extend_rhythms."""
    rhythm = known.copy()
    run_chunks(lambda first, stop: _extend(timestamp_us, kind, begin, end, first, stop, rhythm), len(begin))
    return rhythm


@compile_loop((INT64S, UINT8S, INT64S, INT64S, INDEX, INDEX, output(types.int64, 2)))
def _extend(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    first: int,
    stop: int,
    rhythm: NDArray[np.int64],
) -> None:
    for query in range(first, stop):
        start, row_after = begin[query], end[query]
        if start == row_after:
            continue
        of_one = rhythm[query]
        first_order_us, last_order_us = of_one[2], of_one[3]
        num_orders, num_days, longest, latest, squares = of_one[1], of_one[4], of_one[5], of_one[6], of_one[7]
        last_visit_us, last_login_us = of_one[8], of_one[9]
        day_before = last_order_us // _DAY_US
        for row in range(start, row_after):
            what = kind[row]
            if what == PURCHASE:
                time_us = timestamp_us[row]
                day = time_us // _DAY_US
                if num_orders == 0:
                    first_order_us, day_before, num_days = time_us, day, 1
                num_orders += 1
                last_order_us = time_us
                gap = day - day_before
                if gap > 0:
                    num_days += 1
                    longest = max(longest, gap)
                    latest = gap
                    squares += gap * gap
                    day_before = day
            elif what == VISIT:
                last_visit_us = timestamp_us[row]
            elif what == LOGIN:
                last_login_us = timestamp_us[row]
        # the places of kernels.rhythm_columns
        if of_one[0] == NO_EVENT:
            of_one[0] = timestamp_us[start]
        of_one[1], of_one[2], of_one[3] = num_orders, first_order_us, last_order_us
        of_one[4], of_one[5], of_one[6], of_one[7] = num_days, longest, latest, squares
        of_one[8], of_one[9] = last_visit_us, last_login_us
