"""Operations that read last rows alone: those of plain loops, and no older row matters to who is said not to read it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import (
    SUMMARY_REACH_DAYS,
    count_kind,
    extend_fingerprints,
    find_latest,
    fingerprint_events,
    summarise_events,
)
from tests.kernels.conftest import Drawn, drawn_events
from tests.kernels.test_fingerprint_events import draw_columns
from tests.reference import DAY_US


@given(drawn=drawn_events(), seed=st.integers(0, 99), since=st.integers(0, 30), length=st.integers(0, 30))
def test_the_latest_of_a_kind_is_that_of_a_plain_search(drawn: Drawn, seed: int, since: int, length: int) -> None:
    kind = np.random.default_rng(seed).integers(1, 3, len(drawn.timestamp_us)).astype(np.uint8)
    grid_us = 7_777_777_777
    since_us, before_us = since * grid_us, (since + length) * grid_us
    found = find_latest(drawn.timestamp_us, kind, 1, drawn.begin, drawn.end, since_us, before_us)
    for row, begin, end in zip(found, drawn.begin, drawn.end, strict=True):
        fitting = [at for at in range(begin, end) if kind[at] == 1 and since_us <= drawn.timestamp_us[at] < before_us]
        assert row == max(fitting, default=-1)


@given(drawn=drawn_events(), seed=st.integers(0, 99))
def test_a_kind_is_counted(drawn: Drawn, seed: int) -> None:
    kind = np.random.default_rng(seed).integers(1, 3, len(drawn.timestamp_us)).astype(np.uint8)
    found = count_kind(kind, 2, drawn.begin, drawn.end)
    assert found.tolist() == [int((kind[begin:end] == 2).sum()) for begin, end in zip(drawn.begin, drawn.end, strict=True)]


@given(drawn=drawn_events(), seed=st.integers(0, 99))
def test_a_fingerprint_that_is_extended_is_that_of_all_rows_though_the_covered_ones_are_gone(drawn: Drawn, seed: int) -> None:
    columns = draw_columns(drawn.timestamp_us, seed)
    end = drawn.offsets[drawn.customer_index + 1] if len(drawn.customer_index) else drawn.end
    both = fingerprint_events(*columns, drawn.begin, drawn.end, end)
    found = extend_fingerprints(*columns, drawn.begin, drawn.end, end, np.ascontiguousarray(both[:, 0]))
    assert found.tolist() == both[:, 1].tolist()
    if len(end) == 1:
        gone = [np.where(np.arange(len(column)) < drawn.end[0] - 1, 0, column).astype(column.dtype) for column in columns]
        assert (
            extend_fingerprints(*gone, drawn.begin, drawn.end, end, np.ascontiguousarray(both[:, 0])).tolist() == found.tolist()
        )


def test_summaries_read_of_older_rows_nothing_but_time_and_kind() -> None:
    random = np.random.default_rng(7)
    num_events, now_us = 4000, 2000 * DAY_US
    since_us = now_us - SUMMARY_REACH_DAYS * DAY_US
    at_border = np.repeat(since_us + np.arange(-3, 4), 7)
    drawn_us = random.integers(now_us - 900 * DAY_US, now_us, num_events - len(at_border))
    timestamp_us = np.sort(np.concatenate((drawn_us, at_border)))
    kind = random.integers(1, 8, num_events).astype(np.uint8)
    columns = [random.integers(0, 5000, num_events).astype(dtype) for dtype in (np.int64, np.int64, *[np.int32] * 5)]
    query = np.zeros(1, np.int64), np.array([num_events]), np.array([now_us])
    is_older = timestamp_us < since_us
    anything = [np.where(is_older, np.iinfo(column.dtype).max - 5, column).astype(column.dtype) for column in columns]
    found = [summarise_events(timestamp_us, kind, *some, *query) for some in (columns, anything)]
    assert is_older.any()
    np.testing.assert_array_equal(*found)


def test_rows_outside_are_refused() -> None:
    times, kind = np.arange(3), np.ones(3, np.uint8)
    begin, end = np.array([0]), np.array([4])
    with pytest.raises(ValueError, match="found rows 0 to 4, expected 0 to 3"):
        find_latest(times, kind, 1, begin, end, 0, 9)
    with pytest.raises(ValueError, match="found rows 0 to 4, expected 0 to 3"):
        count_kind(kind, 1, begin, end)
    columns = draw_columns(times, 0)
    with pytest.raises(ValueError, match="found rows 0 to 4, expected 0 to 3"):
        extend_fingerprints(*columns, begin, begin, end, np.zeros(1, np.uint64))
