"""Reading ahead of a rescoring: every bucket is announced once, some ahead of those that are scored."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.rescoring import reading_ahead
from serving.rescoring.reading_ahead import ReadingAhead
from tests.serving.conftest import INPUTS


class Announced:
    """Stands for a history, and remembers."""

    def __init__(self) -> None:
        self.buckets: list[int] = []
        self.store: Any = None
        self._announced = threading.Semaphore(0)

    def read_ahead(self, bucket: int, *, settled: Sequence[str] = ()) -> None:
        self.buckets.append(bucket)
        self._announced.release()

    def wait(self, num_buckets: int) -> None:
        """Until so many are announced."""
        for _ in range(num_buckets):
            assert self._announced.acquire(timeout=30)


def test_every_bucket_is_announced_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "available_cores", lambda: 2)
    history, buckets = Announced(), list(range(3, 40))
    with ReadingAhead(history, INPUTS, buckets, lambda bucket: None) as ahead:  # type: ignore[arg-type]
        for num_done in range(1, len(buckets) + 1):
            ahead.advance(num_done)
        history.wait(len(buckets))
    assert history.buckets == buckets


def test_no_more_are_announced_than_will_soon_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "available_cores", lambda: 2)
    history = Announced()
    with ReadingAhead(history, INPUTS, range(100), lambda bucket: None) as ahead:  # type: ignore[arg-type]
        ahead.advance(5)
        history.wait(8)
    assert 8 <= len(history.buckets) < 15


def test_a_snapshot_that_is_gone_is_left_to_the_reader(tmp_path: Path) -> None:
    history = Announced()
    history.store = tmp_path
    kept = SimpleNamespace(path="bucket=0000.arrow", parts=())
    with ReadingAhead(history, INPUTS, [0], lambda bucket: kept):  # type: ignore[arg-type, return-value]
        history.wait(1)
    assert history.buckets == [0]


def test_what_goes_wrong_otherwise_comes_up() -> None:
    class Broken(Announced):
        def read_ahead(self, bucket: int, *, settled: Sequence[str] = ()) -> None:
            super().read_ahead(bucket)
            raise ZeroDivisionError

    history = Broken()

    with pytest.raises(ZeroDivisionError), ReadingAhead(history, INPUTS, [0], lambda bucket: None):  # type: ignore[arg-type]
        history.wait(1)
