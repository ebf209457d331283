"""Rows put behind one another: those of a plain loop, and only of whom they may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import JoinPlan, OrderedKeys, Runs, find_continued, join_runs, merge_texts, run_operations


def _offsets(lengths: list[int]) -> NDArray[np.int64]:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))


def _runs(older: list[int], newer: list[int]) -> Runs:
    of_older, of_newer = _offsets(older), _offsets(newer)
    return of_older[:-1], of_older[1:], of_newer[:-1], of_newer[1:]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@given(lengths=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=6))
def test_the_older_rows_come_first_customer_by_customer(lengths: list[tuple[int, int]], dtype: type[np.generic]) -> None:
    num_older, num_newer = ([pair[place] for pair in lengths] for place in (0, 1))
    older, newer = np.arange(sum(num_older)).astype(dtype), (100 + np.arange(sum(num_newer))).astype(dtype)
    runs = _runs(num_older, num_newer)
    joined = join_runs(older, newer, *runs)
    assert joined.dtype == dtype
    expected: list[int] = []
    for begin, end, first, stop in zip(*runs, strict=True):
        expected += [*older[begin:end].tolist(), *newer[first:stop].tolist()]
    assert joined.tolist() == expected


def test_rows_of_some_customers_are_joined_and_those_of_others_left_out() -> None:
    older_begin, older_end, newer_begin, newer_end = _runs([2, 3, 1], [1, 1, 2])
    chosen = [0, 2]
    runs = older_begin[chosen], older_end[chosen], newer_begin[chosen], newer_end[chosen]
    assert join_runs(np.arange(6), 10 + np.arange(4), *runs).tolist() == [0, 1, 10, 5, 12, 13]


def _events(*rows: tuple[int, int, int]) -> OrderedKeys:
    """(time, key, kind) of each."""
    times, keys, kinds = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(times, np.int64), np.array(keys, np.uint64), np.array(kinds, np.uint8)


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        ([(1, 7, 0), (2, 8, 0)], [(3, 9, 0)], True),
        ([(1, 7, 0), (2, 8, 0)], [(2, 9, 0)], False),  # order and kind decide among events of one time
        ([(1, 7, 0), (2, 8, 0)], [(3, 9, 0), (4, 7, 0)], False),  # a newer version of what is known
        ([(1, 7, 0), (2, 8, 0)], [(3, 7, 1)], True),  # goods come back under the order that sold them
        ([], [(3, 9, 0)], True),
        ([(1, 7, 0)], [], True),
    ],
)
def test_later_events_that_correct_none_continue(
    older: list[tuple[int, int, int]], newer: list[tuple[int, int, int]], expected: bool
) -> None:
    continued = find_continued(_events(*older), _events(*newer), _runs([len(older)], [len(newer)]))
    assert (continued.dtype, continued.tolist()) == (np.bool_, [expected])


def test_of_an_addition_times_alone_are_looked_at() -> None:
    older, newer = _events((1, 7, 0), (2, 8, 0), (5, 9, 0)), _events((3, 7, 0), (5, 10, 0))
    assert find_continued(older, newer, _runs([2, 1], [1, 1]), is_addition=True).tolist() == [True, False]
    assert find_continued(older, newer, _runs([2, 1], [1, 1])).tolist() == [False, False]


def test_too_many_to_compare_each_with_each_do_not_count_as_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_operations, "_MOST_PAIRS", 3)
    events = _events((1, 7, 0), (2, 8, 0)), _events((3, 9, 0), (4, 10, 0))
    assert find_continued(*events, _runs([2], [2])).tolist() == [False]
    assert find_continued(*events, _runs([1, 1], [1, 1])).tolist() == [True, True]


def test_rows_outside_and_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="older_begin, older_end: found rows 0 to 3, expected 0 to 2"):
        join_runs(np.arange(2), np.arange(1), *_runs([3], [1]))
    with pytest.raises(ValueError, match="older: found float64, expected one of uint8, int32, int64"):
        join_runs(np.zeros(1), np.zeros(1), *_runs([1], [1]))
    with pytest.raises(ValueError, match="newer: found int32"):
        join_runs(np.arange(2), np.arange(1, dtype=np.int32), *_runs([2], [1]))


def test_rows_that_may_be_left_out_are_left_as_they_were() -> None:
    plan = JoinPlan(5, 2, _runs([3, 2], [1, 1]))
    joined = np.full(plan.num_rows, -1)
    plan.join(np.arange(5), 10 + np.arange(2), joined, older_from=np.array([2, 3]))
    assert joined.tolist() == [-1, -1, 2, 10, 3, 4, 11]
    plan.join(np.arange(5), 10 + np.arange(2), joined, older_from=np.array([0, 3]))
    assert joined.tolist() == [0, 1, 2, 10, 3, 4, 11]
    with pytest.raises(ValueError, match="older_from: found rows outside"):
        plan.join(np.arange(5), np.arange(2), joined, older_from=np.array([4, 3]))
    with pytest.raises(ValueError, match="room for 6 of int64"):
        plan.join(np.arange(5), np.arange(2), joined[:6], older_from=np.array([0, 3]))


@given(first=st.sets(st.text("aböc", max_size=3)), second=st.sets(st.text("aböc", max_size=3)))
def test_texts_of_two_lists_have_their_places_among_all(first: set[str], second: set[str]) -> None:
    both = sorted(text.encode() for text in first | second)
    lists = [sorted(text.encode() for text in texts) for texts in (first, second)]
    data = [
        (np.frombuffer(b"".join(texts), np.uint8), _offsets([len(text) for text in texts]).astype(np.int32)) for texts in lists
    ]
    for places, texts in zip(merge_texts(*data[0], *data[1]), lists, strict=True):
        assert places.tolist() == [both.index(text) for text in texts]


def test_texts_outside_their_bytes_are_refused() -> None:
    data, offsets = np.zeros(3, np.uint8), np.array([0, 2, 4], np.int32)
    with pytest.raises(ValueError, match="second_offsets: expected ascending places from 0 to 3"):
        merge_texts(data, offsets[:2], data, offsets)
