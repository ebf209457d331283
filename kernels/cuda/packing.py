"""Which rows a set of queries needs, and where they lie once only these rows are on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Rows between two runs that are rather copied than skipped: one more run costs about what these cost.
_MAX_HOLE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """Rows of the events, put side by side.

    run_begin, run_stop : int64[num_runs]      the rows to copy, in order
    begin, stop         : int64[num_queries]   the rows of each query among the copied ones
    num_rows            : how many are copied
    """

    run_begin: NDArray[np.int64]
    run_stop: NDArray[np.int64]
    begin: NDArray[np.int64]
    stop: NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        return int((self.run_stop - self.run_begin).sum())


def pack_rows(begin: NDArray[np.int64], stop: NDArray[np.int64]) -> Packing:
    """The packing of at least one query.

    begin, stop : int64[num_queries], begin ascending
    """
    span = stop.max() - begin[0]
    if span <= max(2 * (stop - begin).sum(), _MAX_HOLE):
        return Packing(run_begin=begin[:1], run_stop=begin[:1] + span, begin=begin - begin[0], stop=stop - begin[0])
    reach = np.maximum.accumulate(stop)
    is_first = np.ones(len(begin), np.bool_)
    is_first[1:] = begin[1:] > reach[:-1] + _MAX_HOLE
    first = np.flatnonzero(is_first)
    run_begin = begin[first]
    run_stop = reach[np.append(first[1:], len(begin)) - 1]
    lengths = run_stop - run_begin
    shift = (np.cumsum(lengths) - lengths - run_begin)[np.cumsum(is_first) - 1]
    return Packing(run_begin=run_begin, run_stop=run_stop, begin=begin + shift, stop=stop + shift)
