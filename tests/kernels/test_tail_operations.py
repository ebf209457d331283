"""Operations that read last rows alone: those of plain loops, and no older row matters to who is said not to read it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import (
    NO_EVENT,
    NO_RHYTHM,
    RHYTHM_COLUMNS,
    RHYTHM_REACH_DAYS,
    SUMMARY_REACH_DAYS,
    extend_fingerprints,
    extend_rhythms,
    find_latest,
    fingerprint_events,
    summarise_events,
)
from kernels.kinds import LOGIN, PURCHASE, VISIT
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


def _plain_rhythm(times_us: np.ndarray, kinds: np.ndarray) -> dict[str, int]:
    bought_us, visits_us, logins_us = (times_us[kinds == kind] for kind in (PURCHASE, VISIT, LOGIN))
    gaps = np.diff(np.unique(bought_us // DAY_US)).tolist()
    return {
        "first_event_us": min(times_us, default=NO_EVENT),
        "num_orders": len(bought_us),
        "first_order_us": min(bought_us, default=NO_EVENT),
        "last_order_us": max(bought_us, default=NO_EVENT),
        "num_days": len(np.unique(bought_us // DAY_US)),
        "longest_gap_days": max(gaps, default=0),
        "latest_gap_days": gaps[-1] if gaps else 0,
        "squared_gap_days": sum(gap * gap for gap in gaps),
        "last_visit_us": max(visits_us, default=NO_EVENT),
        "last_login_us": max(logins_us, default=NO_EVENT),
    }


@given(drawn=drawn_events(), seed=st.integers(0, 99))
def test_a_rhythm_is_that_of_a_plain_count_and_of_two_halves(drawn: Drawn, seed: int) -> None:
    random = np.random.default_rng(seed)
    kind = random.integers(1, 8, len(drawn.timestamp_us)).astype(np.uint8)
    nothing = np.full((len(drawn.begin), len(NO_RHYTHM)), NO_RHYTHM)
    found = extend_rhythms(drawn.timestamp_us, kind, drawn.begin, drawn.end, nothing)
    for rhythm, begin, end in zip(found, drawn.begin, drawn.end, strict=True):
        expected = _plain_rhythm(drawn.timestamp_us[begin:end], kind[begin:end])
        assert dict(zip(RHYTHM_COLUMNS, rhythm.tolist(), strict=True)) == expected
    middle = drawn.begin + np.floor(random.random(len(drawn.begin)) * (drawn.end - drawn.begin + 1)).astype(np.int64)
    half = extend_rhythms(drawn.timestamp_us, kind, drawn.begin, middle, nothing)
    np.testing.assert_array_equal(extend_rhythms(drawn.timestamp_us, kind, middle, drawn.end, half), found)


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


def test_beside_a_rhythm_summaries_read_a_year_and_say_the_same() -> None:
    random = np.random.default_rng(11)
    now_us, num_customers = 3000 * DAY_US, 60
    since_us = now_us - RHYTHM_REACH_DAYS * DAY_US
    lengths = random.integers(0, 120, num_customers)
    drawn_us = [
        np.sort(random.integers(now_us - (1 + customer) * 40 * DAY_US, now_us, lengths[customer])) for customer in range(60)
    ]
    at_border = since_us + np.arange(-3, 4)
    timestamp_us = np.concatenate([*drawn_us, at_border])
    end = np.cumsum([*lengths, len(at_border)])
    begin = end - [*lengths, len(at_border)]
    kind = np.where(random.random(len(timestamp_us)) < 0.6, PURCHASE, random.integers(1, 8, len(timestamp_us))).astype(np.uint8)
    columns = [random.integers(0, 5000, len(kind)).astype(dtype) for dtype in (np.int64, np.int64, *[np.int32] * 5)]
    now = np.full(len(begin), now_us)
    rhythm = extend_rhythms(timestamp_us, kind, begin, end, np.full((len(begin), len(NO_RHYTHM)), NO_RHYTHM))
    expected = summarise_events(timestamp_us, kind, *columns, begin, end, now)
    np.testing.assert_array_equal(summarise_events(timestamp_us, kind, *columns, begin, end, now, rhythm), expected)
    is_there = timestamp_us >= since_us
    assert 0.1 < is_there.mean() < 0.9
    left = np.append(0, np.cumsum(is_there))  # the others are not even in the arrays
    recent = [column[is_there] for column in (timestamp_us, kind, *columns)]
    np.testing.assert_array_equal(summarise_events(*recent, left[begin], left[end], now, rhythm), expected)


def test_rows_outside_are_refused() -> None:
    times, kind = np.arange(3), np.ones(3, np.uint8)
    begin, end = np.array([0]), np.array([4])
    with pytest.raises(ValueError, match="found rows 0 to 4, expected 0 to 3"):
        find_latest(times, kind, 1, begin, end, 0, 9)
    with pytest.raises(ValueError, match="found rows 0 to 4, expected 0 to 3"):
        extend_rhythms(times, kind, begin, end, np.zeros((1, len(RHYTHM_COLUMNS)), np.int64))
    with pytest.raises(ValueError, match=r"known: found \(2, 10\), expected \(1, 10\)"):
        extend_rhythms(times, kind, begin, begin, np.zeros((2, len(RHYTHM_COLUMNS)), np.int64))
    columns = draw_columns(times, 0)
    with pytest.raises(ValueError, match="found rows 0 to 4, expected 0 to 3"):
        extend_fingerprints(*columns, begin, begin, end, np.zeros(1, np.uint64))
