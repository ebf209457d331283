"""Every backend's operations do what the plain loops of tests/reference.py do, and keep the laws of what they count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import (
    GAP_COLUMNS,
    backend_names,
    count_selected,
    gap_statistics,
    gather_sequences,
    locate_instants,
    next_selected,
    window_counts,
    window_sums,
)
from tests import reference
from tests.kernels.conftest import Drawn, drawn_events

WINDOWS = np.array([1.0, 0.5, 7.0, 7.0, 2.25, 1000.0, np.inf])

every_backend = pytest.mark.parametrize("backend", backend_names())


@every_backend
@given(drawn=drawn_events())
def test_locating_finds_the_first_event_at_or_after_the_instant(drawn: Drawn, backend: str) -> None:
    located = locate_instants(drawn.timestamp_us, drawn.offsets, drawn.customer_index, drawn.as_of_us, backend=backend)
    expected = [
        reference.locate_instant(drawn.timestamp_us.tolist(), drawn.offsets[customer], drawn.offsets[customer + 1], as_of_us)
        for customer, as_of_us in zip(drawn.customer_index, drawn.as_of_us, strict=True)
    ]
    assert located.dtype == np.int64
    assert located.tolist() == expected


@every_backend
@given(drawn=drawn_events())
def test_the_next_selected_event_is_the_first_one_and_minus_one_where_there_is_none(drawn: Drawn, backend: str) -> None:
    stop = drawn.offsets[drawn.customer_index + 1] if len(drawn.customer_index) else drawn.end
    found_us = next_selected(drawn.timestamp_us, drawn.selected, drawn.end, stop, backend=backend)
    rows = zip(drawn.end.tolist(), stop.tolist(), strict=True)
    times = drawn.timestamp_us.tolist()
    assert found_us.tolist() == [reference.next_selected(times, drawn.selected.tolist(), begin, last) for begin, last in rows]


@every_backend
@given(drawn=drawn_events())
def test_selected_rows_are_counted_and_the_last_one_is_found(drawn: Drawn, backend: str) -> None:
    counted = count_selected(drawn.selected, drawn.begin, drawn.end, backend=backend)
    assert (counted.dtype, counted.shape) == (np.int64, (len(drawn.begin), 2))
    for found, begin, end in zip(counted.tolist(), drawn.begin, drawn.end, strict=True):
        places = np.flatnonzero(drawn.selected[begin:end]).tolist()
        assert found == [len(places), max(places, default=-1)]


@every_backend
@given(drawn=drawn_events())
def test_window_counts_and_sums_are_those_of_the_rows_in_the_window(drawn: Drawn, backend: str) -> None:
    begin, end = drawn.begin, drawn.end
    counts = window_counts(drawn.timestamp_us, drawn.selected, begin, end, drawn.as_of_us, WINDOWS, backend=backend)
    sums = window_sums(drawn.timestamp_us, drawn.amounts, drawn.selected, begin, end, drawn.as_of_us, WINDOWS, backend=backend)
    assert (counts.dtype, sums.dtype) == (np.int32, np.int64)
    assert counts.shape == sums.shape == (len(begin), len(WINDOWS))
    times, selected = drawn.timestamp_us.tolist(), drawn.selected.tolist()
    for query, as_of_us in enumerate(drawn.as_of_us.tolist()):
        for column, days in enumerate(WINDOWS):
            rows = reference.rows_in_window(times, selected, begin[query], end[query], as_of_us, days)
            assert counts[query, column] == len(rows)
            assert sums[query, column] == sum(int(drawn.amounts[row]) for row in rows)


@every_backend
@given(drawn=drawn_events())
def test_float_sums_add_the_newest_row_first(drawn: Drawn, backend: str) -> None:
    begin, end, values = drawn.begin, drawn.end, drawn.amounts / 7.0
    sums = window_sums(drawn.timestamp_us, values, drawn.selected, begin, end, drawn.as_of_us, WINDOWS, backend=backend)
    assert sums.dtype == np.float64
    times, selected = drawn.timestamp_us.tolist(), drawn.selected.tolist()
    for query, as_of_us in enumerate(drawn.as_of_us.tolist()):
        for column, days in enumerate(WINDOWS):
            total = 0.0
            for row in reversed(reference.rows_in_window(times, selected, begin[query], end[query], as_of_us, days)):
                total += values[row]
            assert sums[query, column] == total


@every_backend
@given(drawn=drawn_events())
def test_a_longer_window_never_counts_less(drawn: Drawn, backend: str) -> None:
    days = np.arange(1, 60) / 2.0
    counts = window_counts(drawn.timestamp_us, drawn.selected, drawn.begin, drawn.end, drawn.as_of_us, days, backend=backend)
    assert (np.diff(counts, axis=1) >= 0).all()


@every_backend
@given(drawn=drawn_events(), seed=st.integers(0, 99))
def test_sums_over_a_split_of_the_values_add_up(drawn: Drawn, seed: int, backend: str) -> None:
    part = np.random.default_rng(seed).integers(-(10**15), 10**15, len(drawn.amounts))
    whole, one, other = (
        window_sums(drawn.timestamp_us, values, drawn.selected, drawn.begin, drawn.end, drawn.as_of_us, WINDOWS, backend=backend)
        for values in (drawn.amounts, part, drawn.amounts - part)
    )
    assert (whole == one + other).all()


@every_backend
@given(drawn=drawn_events(), shift_us=st.integers(-(10**17), 10**17))
def test_shifting_all_times_and_instants_changes_nothing(drawn: Drawn, shift_us: int, backend: str) -> None:
    def compute(shifted_by_us: int) -> list[np.ndarray]:
        times, as_of_us = drawn.timestamp_us + shifted_by_us, drawn.as_of_us + shifted_by_us
        end = locate_instants(times, drawn.offsets, drawn.customer_index, as_of_us, backend=backend)
        arguments = (times, drawn.selected, drawn.begin, end, as_of_us)
        return [
            end,
            window_counts(*arguments, WINDOWS, backend=backend),
            window_sums(times, drawn.amounts, drawn.selected, drawn.begin, end, as_of_us, WINDOWS, backend=backend),
            gap_statistics(*arguments, backend=backend),
        ]

    for unshifted, shifted in zip(compute(0), compute(shift_us), strict=True):
        np.testing.assert_array_equal(unshifted, shifted)


@every_backend
@given(drawn=drawn_events())
def test_gap_statistics_are_those_of_the_selected_times(drawn: Drawn, backend: str) -> None:
    begin, end = drawn.begin, drawn.end
    found = gap_statistics(drawn.timestamp_us, drawn.selected, begin, end, drawn.as_of_us, backend=backend)
    expected = [
        reference.gap_statistics(drawn.timestamp_us.tolist(), drawn.selected.tolist(), first, stop, as_of_us)
        for first, stop, as_of_us in zip(begin, end, drawn.as_of_us.tolist(), strict=True)
    ]
    assert found.shape == (len(begin), len(GAP_COLUMNS))
    # the mean of gaps against the span over their number: different roundings of one number
    np.testing.assert_allclose(found, np.reshape(expected, found.shape), rtol=1e-12, atol=1e-9)


@every_backend
@given(drawn=drawn_events(), max_length=st.integers(1, 9), num_features=st.integers(0, 3))
def test_sequences_hold_the_last_rows_in_order_and_zeros_after(
    drawn: Drawn, max_length: int, num_features: int, backend: str
) -> None:
    values = np.arange(1, len(drawn.amounts) * num_features + 1, dtype=np.float32).reshape(len(drawn.amounts), num_features)
    sequences, lengths = gather_sequences(values, drawn.begin, drawn.end, max_length, backend=backend)
    assert (sequences.dtype, lengths.dtype) == (np.float32, np.int32)
    assert sequences.shape == (len(drawn.begin), max_length, num_features)
    for query, (begin, end) in enumerate(zip(drawn.begin.tolist(), drawn.end.tolist(), strict=True)):
        rows = reference.last_rows(begin, end, max_length)
        assert lengths[query] == len(rows)
        np.testing.assert_array_equal(sequences[query, : len(rows)], values[rows])
        assert not sequences[query, len(rows) :].any()


@every_backend
def test_an_int64_sum_beyond_the_exact_floats_stays_exact(backend: str) -> None:
    values = np.array([2**60, 1, -(2**60), 1], np.int64)
    query = [np.array([number], np.int64) for number in (0, 4, 10)]
    times = np.arange(4, dtype=np.int64)
    sums = window_sums(times, values, np.ones(4, np.bool_), *query, np.array([1.0]), backend=backend)
    assert sums.tolist() == [[2]]


@every_backend
def test_many_queries_on_many_threads_get_the_answers_of_few(backend: str) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 20, 500)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    times = np.concatenate([np.sort(random.integers(0, 10**13, length)) for length in lengths]).astype(np.int64)
    customer = random.integers(0, 500, 50_000)
    as_of_us = random.integers(0, 10**13, 50_000)
    selected = random.random(len(times)) < 0.8

    def count(queries: slice) -> np.ndarray:
        end = locate_instants(times, offsets, customer[queries], as_of_us[queries], backend=backend)
        begin = offsets[customer[queries]]
        return window_counts(times, selected, begin, end, as_of_us[queries], WINDOWS, backend=backend)

    in_small_parts = np.concatenate([count(slice(first, first + 1000)) for first in range(0, 50_000, 1000)])
    with ThreadPoolExecutor(4) as threads:
        for at_once in threads.map(count, [slice(None)] * 8):
            np.testing.assert_array_equal(at_once, in_small_parts)
