"""Operations that put the rows of two sorted arrays together, run by run.

On the CPU alone: they copy from memory to memory, which a device could not do sooner than the rows come to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, check_rows, require_array

# Comparisons of one customer's older and newer rows, each with each, beyond which that is not the way to find what both have.
_MOST_PAIRS = 1 << 22
# int64[num_customers], four times: the rows [begin, end) of each in the older and in the newer array.
Runs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
# Of each row: int64 UTC time, uint64 key of the order, uint8 kind.
OrderedKeys = tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint8]]
_COPIED = (np.uint8, np.int32, np.int64)


@dataclass(frozen=True, slots=True)
class JoinPlan:
    """Runs of rows that are to be joined, looked at once for all columns.

    num_older, num_newer : rows of the arrays
    runs                 : rows of each customer in either
    num_rows             : of all customers together

    raises : ValueError, if rows lie outside the arrays
    """

    num_older: int
    num_newer: int
    runs: Runs
    num_rows: int = field(init=False)

    def __post_init__(self) -> None:
        runs = _check_runs(self.num_older, self.num_newer, *self.runs)
        object.__setattr__(self, "runs", runs)
        older_begin, older_end, newer_begin, newer_end = runs
        object.__setattr__(self, "num_rows", int((older_end - older_begin).sum() + (newer_end - newer_begin).sum()))

    def join(self, older: NDArray[Any], newer: NDArray[Any], out: NDArray[Any], *, older_from: NDArray[np.int64]) -> None:
        """Of each customer the older rows and behind them the newer ones, customer by customer.

        older, newer : uint8, int32 or int64[num_older], [num_newer]; one dtype
        out          : of that dtype, [num_rows]: takes the rows
        older_from   : int64[num_customers], in [older_begin, older_end]: the places of the older rows before it stay as they are
        raises       : ValueError for another dtype or length, or rows outside
        """
        if older.dtype not in _COPIED:
            raise ValueError(
                f"older: found {older.dtype}, expected one of {', '.join(np.dtype(dtype).name for dtype in _COPIED)}"
            )
        older = require_array("older", older, older.dtype.type)
        newer = require_array("newer", newer, older.dtype.type)
        if (len(older), len(newer), len(out)) != (self.num_older, self.num_newer, self.num_rows) or out.dtype != older.dtype:
            raise ValueError(
                f"found {len(older)} older rows, {len(newer)} newer ones and room for {len(out)} of {out.dtype}, expected "
                f"{self.num_older}, {self.num_newer} and {self.num_rows} of {older.dtype}"
            )
        older_from = require_array("older_from", older_from, np.int64)
        older_begin, older_end, _, _ = self.runs
        if not older_from.shape == older_begin.shape or not ((older_begin <= older_from) & (older_from <= older_end)).all():
            raise ValueError("older_from: found rows outside of [older_begin, older_end]")
        from kernels.cpu import join_runs as join  # importing kernels must not wait for the compiler

        join(older, newer, *self.runs, older_from, out)


def join_runs(
    older: NDArray[Any],
    newer: NDArray[Any],
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
) -> NDArray[Any]:
    """`JoinPlan.join` of all rows of one column.

    older, newer           : uint8, int32 or int64[num_older], [num_newer]; one dtype
    older_begin, older_end : int64[num_customers]   rows of older
    newer_begin, newer_end : int64[num_customers]   rows of newer
    returns                : [rows of all customers together], of that dtype
    raises                 : ValueError, if rows lie outside the arrays, or for another dtype
    """
    plan = JoinPlan(len(older), len(newer), (older_begin, older_end, newer_begin, newer_end))
    joined = np.empty(plan.num_rows, older.dtype)
    plan.join(older, newer, joined, older_from=plan.runs[0])
    return joined


def find_continued(older: OrderedKeys, newer: OrderedKeys, runs: Runs, *, is_addition: bool = False) -> NDArray[np.bool_]:
    """Whose newer rows all come after the older ones and say nothing of them, so that `join_runs` puts them together.

    older, newer : time, order key and kind of each row; times ascending within a customer
    runs         : as `join_runs` takes them
    is_addition  : it is known that no newer row has key and kind of an older one: times alone are looked at
    returns      : bool[num_customers]; false where the first newer row is not later than the last older one, where a newer row
                   has key and kind of an older one, and where there are too many of both to find out
    raises       : ValueError, if rows lie outside the arrays
    """
    of_older, of_newer = _check_keys("older", older), _check_keys("newer", newer)
    checked = _check_runs(len(of_older[0]), len(of_newer[0]), *runs)
    from kernels.cpu import find_continued as find  # importing kernels must not wait for the compiler

    return find(of_older, of_newer, checked, is_addition, _MOST_PAIRS)


def merge_texts(
    first: NDArray[np.uint8], first_offsets: NDArray[np.int32], second: NDArray[np.uint8], second_offsets: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each text of two lists stands among the distinct ones of both; what both have has one place.

    first, second : uint8[num_bytes]   texts end to end
    the offsets   : int32[num_texts + 1]   text i is data[offsets[i]:offsets[i + 1]]; texts ascend by bytes, none comes twice
    returns       : int64[num_first], int64[num_second], ascending
    raises        : ValueError, if offsets descend or leave the data
    """
    pairs: list[NDArray[Any]] = []
    for name, data, offsets in (("first", first, first_offsets), ("second", second, second_offsets)):
        data = require_array(name, data, np.uint8)
        offsets = require_array(f"{name}_offsets", offsets, np.int32)
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(data) or (offsets[1:] < offsets[:-1]).any():
            raise ValueError(f"{name}_offsets: expected ascending places from 0 to {len(data)}, one more than there are texts")
        pairs += [data, offsets]
    from kernels.cpu import merge_texts as merge  # importing kernels must not wait for the compiler

    return merge(*pairs)


def _check_keys(name: str, keys: OrderedKeys) -> OrderedKeys:
    time_us = require_array(f"{name}_us", keys[0], np.int64)
    key = require_array(f"{name}_key", keys[1], np.uint64)
    kind = require_array(f"{name}_kind", keys[2], np.uint8)
    check_lengths(time_us=time_us, key=key, kind=kind)
    return time_us, key, kind


def _check_runs(
    num_older: int,
    num_newer: int,
    older_begin: NDArray[np.int64],
    older_end: NDArray[np.int64],
    newer_begin: NDArray[np.int64],
    newer_end: NDArray[np.int64],
) -> Runs:
    older_begin = require_array("older_begin", older_begin, np.int64)
    older_end = require_array("older_end", older_end, np.int64)
    newer_begin = require_array("newer_begin", newer_begin, np.int64)
    newer_end = require_array("newer_end", newer_end, np.int64)
    check_lengths(older_begin=older_begin, newer_begin=newer_begin)
    check_rows(older_begin, older_end, num_events=num_older, begin_name="older_begin", stop_name="older_end")
    check_rows(newer_begin, newer_end, num_events=num_newer, begin_name="newer_begin", stop_name="newer_end")
    return older_begin, older_end, newer_begin, newer_end
