"""Operations that put the rows of two sorted arrays together, run by run.

On the CPU alone: they copy from memory to memory, which a device could not do sooner than the rows come to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, check_rows, require_array

# Comparisons of one customer's older and newer rows, each with each, beyond which that is not the way to find what both have.
_MOST_PAIRS = 1 << 22
_COPIED = (np.uint8, np.int32, np.int64)


def join_runs(
    older: NDArray[Any],
    newer: NDArray[Any],
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
) -> NDArray[Any]:
    """Of each customer the older rows and behind them the newer ones, customer by customer.

    older, newer           : uint8, int32 or int64[num_older], [num_newer]; one dtype
    older_begin, older_end : int64[num_customers]   rows of older
    newer_begin, newer_end : int64[num_customers]   rows of newer
    returns                : [rows of all customers together], of that dtype
    raises                 : ValueError, if rows lie outside the arrays, or for another dtype
    """
    if older.dtype not in _COPIED:
        raise ValueError(f"older: found {older.dtype}, expected one of {', '.join(np.dtype(dtype).name for dtype in _COPIED)}")
    older = require_array("older", older, older.dtype.type)
    newer = require_array("newer", newer, older.dtype.type)
    runs = _check_runs(len(older), len(newer), older_begin, older_end, newer_begin, newer_end)
    from kernels.cpu.join_runs import join_runs as join  # importing kernels must not wait for the compiler

    return join(older, newer, *runs)


def find_continued(
    older_us: NDArray[np.int64],
    older_key: NDArray[np.uint64],
    older_kind: NDArray[np.uint8],
    newer_us: NDArray[np.int64],
    newer_key: NDArray[np.uint64],
    newer_kind: NDArray[np.uint8],
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Whose newer rows all come after the older ones and say nothing of them, so that `join_runs` puts them together.

    older_us, newer_us     : int64    times, ascending within a customer
    older_key, newer_key   : uint64   of the orders
    older_kind, newer_kind : uint8
    the runs               : as `join_runs` takes them
    returns                : bool[num_customers]; false where the first newer row is not later than the last older one, or has key
                             and kind of one of them, and where there are too many of both to find out
    raises                 : ValueError, if rows lie outside the arrays
    """
    older_us, newer_us = require_array("older_us", older_us, np.int64), require_array("newer_us", newer_us, np.int64)
    older_key, newer_key = require_array("older_key", older_key, np.uint64), require_array("newer_key", newer_key, np.uint64)
    older_kind, newer_kind = require_array("older_kind", older_kind, np.uint8), require_array("newer_kind", newer_kind, np.uint8)
    check_lengths(older_us=older_us, older_key=older_key, older_kind=older_kind)
    check_lengths(newer_us=newer_us, newer_key=newer_key, newer_kind=newer_kind)
    runs = _check_runs(len(older_us), len(newer_us), older_begin, older_end, newer_begin, newer_end)
    from kernels.cpu.join_runs import find_continued as find  # importing kernels must not wait for the compiler

    return find(older_us, older_key, older_kind, newer_us, newer_key, newer_kind, *runs, _MOST_PAIRS)


def _check_runs(
    num_older: int,
    num_newer: int,
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
) -> tuple[NDArray[np.int64], ...]:
    older_begin = require_array("older_begin", older_begin, np.int64)
    older_end = require_array("older_end", older_end, np.int64)
    newer_begin = require_array("newer_begin", newer_begin, np.int64)
    newer_end = require_array("newer_end", newer_end, np.int64)
    check_lengths(older_begin=older_begin, newer_begin=newer_begin)
    check_rows(older_begin, older_end, num_events=num_older, begin_name="older_begin", stop_name="older_end")
    check_rows(newer_begin, newer_end, num_events=num_newer, begin_name="newer_begin", stop_name="newer_end")
    return older_begin, older_end, newer_begin, newer_end
