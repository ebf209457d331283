"""Runs of rows, copied: those of an older array, and behind them those of a newer one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.compilation import INDEX, INT32S, INT64S, UINT8S, compile_loop, output
from kernels.run_operations import OrderedKeys, Runs

_UINT64S = types.Array(types.uint64, 1, "C", readonly=True)
_RUNS = (INT64S, INT64S, INT64S, INT64S)


def join_runs(
    older: NDArray[Any],
    newer: NDArray[Any],
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
    older_from: NDArray[np.int64],
    joined: NDArray[Any],
) -> None:
    """See kernels.run_operations.join_runs."""
    _join(older, newer, older_begin, older_end, newer_begin, newer_end, older_from, joined)


def find_continued(older: OrderedKeys, newer: OrderedKeys, runs: Runs, is_addition: bool, most_pairs: int) -> NDArray[np.bool_]:
    """See kernels.run_operations.find_continued."""
    continued = np.empty(len(runs[0]), np.bool_)
    _find(*older, *newer, *runs, is_addition, most_pairs, continued)
    return continued


@compile_loop(
    (UINT8S, UINT8S, *_RUNS, INT64S, output(types.uint8, 1)),
    (INT32S, INT32S, *_RUNS, INT64S, output(types.int32, 1)),
    (INT64S, INT64S, *_RUNS, INT64S, output(types.int64, 1)),
)
def _join(
    older: NDArray[Any],
    newer: NDArray[Any],
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
    older_from: NDArray[np.int64],
    joined: NDArray[Any],
) -> None:
    # Places that could be below 0 would be looked at one by one: unsigned ones are copied as vectors.
    one = np.uint64(1)
    place = np.uint64(0)
    for query in range(len(older_begin)):
        row, end = np.uint64(older_from[query]), np.uint64(older_end[query])
        place += np.uint64(older_from[query] - older_begin[query])
        while row < end:
            joined[place] = older[row]
            place += one
            row += one
        row, end = np.uint64(newer_begin[query]), np.uint64(newer_end[query])
        while row < end:
            joined[place] = newer[row]
            place += one
            row += one


@compile_loop((INT64S, _UINT64S, UINT8S, INT64S, _UINT64S, UINT8S, *_RUNS, types.boolean, INDEX, output(types.boolean, 1)))
def _find(
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
    is_addition: bool,
    most_pairs: int,
    continued: NDArray[np.bool_],
) -> None:
    for query in range(len(older_begin)):
        begin, end = older_begin[query], older_end[query]
        first, stop = newer_begin[query], newer_end[query]
        if begin == end or first == stop:
            continued[query] = True
            continue
        continued[query] = older_us[end - 1] < newer_us[first]
        if not continued[query] or is_addition:
            continue
        continued[query] = (end - begin) * (stop - first) <= most_pairs
        if not continued[query]:
            continue
        for row in range(first, stop):
            key = newer_key[row]
            # Counted without leaving the loop, which vectors can do; keys are hashes, and hardly ever met twice.
            num_equal = 0
            for key_before in older_key[begin:end]:
                num_equal += key_before == key
            if num_equal > 0:
                for other in range(begin, end):
                    if older_key[other] == key and older_kind[other] == newer_kind[row]:
                        continued[query] = False
