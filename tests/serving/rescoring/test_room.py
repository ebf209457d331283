"""Buckets that are scored at the same time have a limit of events together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.rescoring.room import Room


def groups_inside(room: Room, sizes: list[int]) -> list[list[int]]:
    """Who was inside, each time that somebody came in; everybody wants in at once."""
    lock = threading.Lock()
    inside: list[int] = []
    groups: list[list[int]] = []

    def task(size: int) -> None:
        with room.taken(size):
            with lock:
                inside.append(size)
                groups.append(list(inside))
            time.sleep(0.002)
            with lock:
                inside.remove(size)

    with ThreadPoolExecutor(len(sizes)) as threads:
        list(threads.map(task, sizes))
    return groups


@pytest.mark.parametrize("sizes", [[3] * 8, [20, 20, 1, 1, 1], [5, 5, 6], [0, 0, 12, 10, 1]])
def test_no_more_events_are_inside_than_there_is_room_for_unless_one_is_alone(sizes: list[int]) -> None:
    groups = groups_inside(Room(10), sizes)
    assert len(groups) == len(sizes)
    assert all(sum(group) <= 10 or len(group) == 1 for group in groups)


def test_those_who_fit_are_inside_together() -> None:
    room, all_are_in = Room(10), threading.Barrier(3)

    def task(size: int) -> None:
        with room.taken(size):
            all_are_in.wait(timeout=20)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(task, [5, 4, 1]))


def test_room_is_given_back_by_who_failed() -> None:
    room = Room(10)
    with pytest.raises(ValueError, match="bad"), room.taken(10):
        raise ValueError("bad")
    assert groups_inside(room, [10]) == [[10]]
