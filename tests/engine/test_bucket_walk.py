"""Buckets are walked on threads, and the results come in order."""

from __future__ import annotations

import threading

import pytest

from engine.bucket_walk import available_cores, walk_buckets


@pytest.mark.parametrize("num_threads", [1, 2, 5, None])
def test_results_come_in_the_order_of_the_buckets(num_threads: int | None) -> None:
    assert list(walk_buckets(range(50), lambda bucket: bucket * 2, num_threads=num_threads)) == [2 * one for one in range(50)]


def test_buckets_are_worked_on_at_once() -> None:
    meeting = threading.Barrier(2, timeout=60)  # each waits for the other: alone, neither would come back
    assert sorted(walk_buckets([0, 1], lambda _: meeting.wait(), num_threads=2)) == [0, 1]


def test_no_more_are_begun_than_memory_has_room_for() -> None:
    begun: list[int] = []
    walk = walk_buckets(range(1000), begun.append, num_threads=2)
    next(walk)
    walk.close()  # type: ignore[attr-defined]  # an iterator here, a generator in fact
    assert len(begun) <= 5


def test_an_error_comes_at_its_buckets_place_and_ends_the_walk() -> None:
    def fail_at_three(bucket: int) -> int:
        if bucket == 3:
            raise ValueError("three")
        return bucket

    walk = walk_buckets(range(1000), fail_at_three, num_threads=2)
    assert [next(walk) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(walk)


def test_no_buckets_give_no_results() -> None:
    assert list(walk_buckets([], str)) == []
    assert available_cores() >= 1
