"""Only the rows that queries ask about go to the device, and each query finds its own there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cuda import packing
from kernels.cuda.packing import pack_rows

asked_for = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 50)), min_size=1, max_size=20).map(sorted)


@given(asked_for=asked_for)
def test_every_query_finds_its_rows_among_the_packed_ones(asked_for: list[tuple[int, int]]) -> None:
    begin = np.array([first for first, _ in asked_for], np.int64)
    stop = begin + np.array([length for _, length in asked_for], np.int64)
    packed = pack_rows(begin, stop)
    there = np.concatenate([np.arange(*run) for run in zip(packed.run_begin, packed.run_stop, strict=True)])
    assert len(there) == packed.num_rows
    for query in range(len(begin)):
        assert there[packed.begin[query] : packed.stop[query]].tolist() == list(range(begin[query], stop[query]))


def test_rows_between_customers_that_are_far_apart_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_MAX_HOLE", 100)
    begin = np.array([0, 50, 10**9, 10**9], np.int64)
    packed = pack_rows(begin, begin + np.array([10, 10, 5, 20]))
    assert packed.run_begin.tolist() == [0, 10**9]
    assert packed.run_stop.tolist() == [60, 10**9 + 20]
    assert packed.begin.tolist() == [0, 50, 60, 60]


def test_all_customers_are_one_run() -> None:
    begin = np.arange(0, 10**6, 10)
    packed = pack_rows(begin, begin + 9)
    assert (packed.run_begin.tolist(), packed.run_stop.tolist()) == ([0], [10**6 - 1])
    assert packed.begin is not begin
