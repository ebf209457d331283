"""Folding parts into one, against a dictionary of events."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.history.events import CODE_COLUMNS, NUMERIC_COLUMNS
from engine.history.folding import find_twins, fold
from engine.schema import EventKind
from tests.engine.test_arrival import Row, list_rows, make_events

ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "é", "𝒵"]), st.integers(0, 3), st.integers(-2, 2), st.sampled_from(["n", "s", "w"])),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[:2],
)


@settings(deadline=None)
@given(parts=st.lists(ROWS, min_size=1, max_size=4))
def test_the_newest_version_of_each_event_stands_and_all_is_as_if_it_had_come_at_once(parts: list[list[Row]]) -> None:
    newest = {row[:2]: row for part in parts for row in part}
    folded = fold([make_events(part) for part in parts])
    at_once = make_events(list(newest.values()))
    assert list_rows(folded) == list_rows(at_once)
    assert folded.customer_ids.equals(at_once.customer_ids)
    for name in (*NUMERIC_COLUMNS, *CODE_COLUMNS):
        assert folded.columns[name].dtype == at_once.columns[name].dtype
        assert folded.columns[name].tolist() == at_once.columns[name].tolist()
    assert folded.names["store_code"].equals(at_once.names["store_code"])


def test_an_event_moves_when_its_time_is_corrected() -> None:
    first = make_events([("a", 1, 1, "s"), ("a", 2, 2, "s"), ("b", 1, 3, "s")])
    first.columns["timestamp_us"][:] = [10, 20, 5]
    late = make_events([("a", 1, 7, "s")], timestamp_us=30)
    folded = fold([first, late])
    assert list_rows(folded) == [("a", 2, 2, "s"), ("a", 1, 7, "s"), ("b", 1, 3, "s")]
    assert folded.columns["timestamp_us"].tolist() == [20, 30, 5]


def test_twins_are_told_by_customer_order_and_kind_and_what_is_no_order_by_its_time_too() -> None:
    older = make_events([("a", 1, 1, "s"), ("b", 1, 2, "s"), ("c", 9, 3, "s")])
    newer = make_events([("b", 1, 5, "t"), ("d", 1, 6, "t")])
    rows = find_twins(older, newer)
    assert [part.tolist() for part in rows] == [[1], [0]]
    assert [len(part) for part in find_twins(older, make_events([("b", 1, 5, "t")], kind=EventKind.RETURN))] == [0, 0]
    visit = make_events([("a", 1, 1, "s")], kind=EventKind.VISIT, timestamp_us=3)
    later = make_events([("a", 1, 1, "s")], kind=EventKind.VISIT, timestamp_us=4)
    assert [len(part) for part in find_twins(visit, later)] == [0, 0]
    assert [part.tolist() for part in find_twins(visit, visit)] == [[0], [0]]


def test_a_large_fold_is_sorted() -> None:
    random = np.random.default_rng(0)
    parts = []
    for size in (3000, 200, 100):
        rows = {(f"c{random.integers(300)}", int(random.integers(2**40))): 1 for _ in range(size)}
        part = make_events([(customer, key, 1, "s") for customer, key in rows])
        part.columns["timestamp_us"][:] = random.integers(0, 50, part.num_events)
        parts.append(part.sorted())
    folded = fold(parts)
    assert folded.num_events == sum(part.num_events for part in parts)
    resorted = folded.sorted()
    for name in NUMERIC_COLUMNS:
        assert np.array_equal(folded.columns[name], resorted.columns[name])
