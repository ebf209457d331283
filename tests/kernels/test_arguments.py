"""What a loop could not survive is refused before it, with what was found and what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels import gather_sequences, locate_instants, next_selected, window_counts, window_sums

TIMES = np.array([10, 20, 30], np.int64)
ALL = np.ones(3, np.bool_)
WEEK = np.array([7.0])


def _ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("offsets", [_ints(0, 2), _ints(0, 4), _ints(1, 3), _ints()])
def test_offsets_that_do_not_cover_the_events_are_refused(offsets: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"offsets: found .*, expected 0 to 3, the number of events"):
        locate_instants(TIMES, offsets, _ints(0), _ints(5))


@pytest.mark.parametrize("offsets", [_ints(0, 5, 3), _ints(0, -2, 3)])
def test_offsets_that_leave_the_events_in_between_are_refused(offsets: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"offsets.*found.*expected"):
        locate_instants(TIMES, offsets, _ints(0, 1), _ints(5, 5))


@pytest.mark.parametrize("customer", [-1, 1])
def test_a_customer_that_there_is_not_is_refused(customer: int) -> None:
    with pytest.raises(ValueError, match=r"customer_index: found .* expected 0 to 0"):
        locate_instants(TIMES, _ints(0, 3), _ints(customer), _ints(5))


@pytest.mark.parametrize(("begin", "end"), [(-1, 2), (0, 4), (2, 1)])
def test_rows_outside_the_events_are_refused(begin: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"begin, end: found .*expected"):
        window_counts(TIMES, ALL, _ints(begin), _ints(end), _ints(40), WEEK)
    with pytest.raises(ValueError, match=r"begin, stop: found .*expected"):
        next_selected(TIMES, ALL, _ints(begin), _ints(end))


@pytest.mark.parametrize("days", [0.0, -1.0, np.nan])
def test_a_window_that_is_not_positive_is_refused(days: float) -> None:
    with pytest.raises(ValueError, match=r"window_days: found .*expected numbers above 0"):
        window_counts(TIMES, ALL, _ints(0), _ints(3), _ints(40), np.array([7.0, days]))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("timestamp_us", (TIMES.astype(np.int32), ALL, _ints(0), _ints(3), _ints(40), WEEK)),
        ("selected", (TIMES, ALL.astype(np.uint8), _ints(0), _ints(3), _ints(40), WEEK)),
        ("begin", (TIMES, ALL, np.zeros((1, 1), np.int64), _ints(3), _ints(40), WEEK)),
        ("window_days", (TIMES, ALL, _ints(0), _ints(3), _ints(40), _ints(7))),
    ],
)
def test_an_array_of_another_type_or_shape_is_named(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: found .*, expected "):
        window_counts(*arguments)


def test_values_that_are_neither_integers_nor_floats_of_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"values: found float32"):
        window_sums(TIMES, TIMES.astype(np.float32), ALL, _ints(0), _ints(3), _ints(40), WEEK)  # type: ignore[call-overload]


def test_arrays_of_different_lengths_are_refused_with_their_lengths() -> None:
    with pytest.raises(ValueError, match=r"timestamp_us of 3, selected of 2"):
        window_counts(TIMES, ALL[:2], _ints(0), _ints(3), _ints(40), WEEK)
    with pytest.raises(ValueError, match=r"begin of 1, as_of_us of 2"):
        window_counts(TIMES, ALL, _ints(0), _ints(3), _ints(40, 50), WEEK)


def test_a_sequence_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="max_length: found 0, expected at least 1"):
        gather_sequences(np.zeros((3, 1), np.float32), _ints(0), _ints(3), 0)


def test_arrays_that_are_not_contiguous_are_taken() -> None:
    wide = np.repeat(TIMES, 2)[::2]
    assert not wide.flags.c_contiguous
    as_of_us = np.broadcast_to(np.int64(25), 4)
    assert locate_instants(wide, _ints(0, 3), np.zeros(4, np.int64), as_of_us).tolist() == [2, 2, 2, 2]
