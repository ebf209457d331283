"""Orders by several keys are np.lexsort's, whatever the keys are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.sorting import argsort_pairs, argsort_rows

_LARGEST = 2**63 - 1
_MAJORS = st.sampled_from([0, 1, 2, 7, 2**20, 2**40])
_INT64S = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), _LARGEST, 2**45, 2**45 + 1]))
_UINT64S = st.one_of(st.integers(0, 3), st.sampled_from([2**63, 2**63 + 1, 2**64 - 1, 2**64 - 2]))


def keys_of(rows: list[tuple[int, int, int]], minor: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    first, second, third = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(first, np.int64), np.array(second, minor), np.array(third, np.uint8)


@given(st.lists(st.tuples(_MAJORS, _INT64S, st.integers(0, 2)), max_size=30))
def test_signed_keys_are_sorted_as_lexsort_does(rows: list[tuple[int, int, int]]) -> None:
    major, minor, tie = keys_of(rows, np.int64)
    np.testing.assert_array_equal(argsort_rows(major, minor, tie), np.lexsort((tie, minor, major)))


@given(st.lists(st.tuples(_MAJORS, _UINT64S, st.integers(0, 2)), max_size=30))
def test_hashes_are_sorted_as_lexsort_does(rows: list[tuple[int, int, int]]) -> None:
    major, minor, tie = keys_of(rows, np.uint64)
    np.testing.assert_array_equal(argsort_rows(major, minor, tie), np.lexsort((tie, minor, major)))
    order, expected = argsort_pairs(major, minor), np.lexsort((minor, major))
    np.testing.assert_array_equal(major[order], major[expected])
    np.testing.assert_array_equal(minor[order], minor[expected])


@pytest.mark.parametrize("num_rows", [0, 1])
def test_nothing_and_one_row_are_sorted(num_rows: int) -> None:
    zeros = np.zeros(num_rows, np.int64)
    assert argsort_rows(zeros, zeros, zeros).tolist() == list(range(num_rows))


def test_hashes_that_one_word_cannot_tell_apart_are_told_apart() -> None:
    major = np.array([2**40, 0, 2**40, 2**40])
    minor = np.array([2**63 + 2, 0, 2**63 + 1, 2**63 + 2], np.uint64)  # alike in the 23 bits that are left for them
    assert argsort_pairs(major, minor).tolist() == [1, 2, 0, 3]
