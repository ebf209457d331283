"""Room in memory for the buckets that one process scores at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """Lets in as many as have no more than so many events together; who has more than that is let in alone.

    room = Room(1_000_000)
    with room.taken(num_events): ...
    """

    def __init__(self, most_events: int) -> None:
        self._most_events = most_events
        self._num_inside = 0
        self._num_events = 0
        self._change = threading.Condition()

    @contextmanager
    def taken(self, num_events: int) -> Iterator[None]:
        """Wait until there is room for so many events, and take it for the block."""
        with self._change:
            self._change.wait_for(lambda: not self._num_inside or self._num_events + num_events <= self._most_events)
            self._num_inside += 1
            self._num_events += num_events
        try:
            yield
        finally:
            with self._change:
                self._num_inside -= 1
                self._num_events -= num_events
                self._change.notify_all()
