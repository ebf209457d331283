"""Checks of parts: each is hashed once, and again as soon as anything about its file is not as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import IntegrityError
from engine.history import History
from engine.ingest import ingest
from tests.engine.conftest import WriteSource


@pytest.fixture
def history(store: Path, write_text: WriteSource) -> History:
    ingest(store, [write_text("a.csv", "customer_id,timestamp,amount", "a,2017-01-01,1", "b,2017-01-02,1")], num_buckets=1)
    ingest(store, [write_text("b.csv", "customer_id,timestamp,amount", "a,2017-01-05,1")])
    return History.open(store)


def events_file(history: History) -> Path:
    return Path(str(history.store)) / "history" / history.manifest.parts[0].files[1][0]


def test_a_part_is_hashed_once(history: History, write_text: WriteSource) -> None:
    assert [history.check(0), history.check(0)] == [2, 0]
    ingest(history.store, [write_text("c.csv", "customer_id,timestamp,amount", "b,2017-01-09,1")])
    assert [History.open(history.store).check(0) for _ in range(2)] == [1, 0]
    assert history.check(0, again=True) == 2


def test_bytes_that_change_behind_the_same_size_and_time_are_found(history: History) -> None:
    history.check(0)
    path = events_file(history)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match="hash to"):
        history.check(0)


def test_a_file_that_takes_the_place_of_another_is_hashed(history: History) -> None:
    history.check(0)
    path = events_file(history)
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert history.check(0) == 1


def test_a_missing_file_is_named_though_it_was_hashed(history: History) -> None:
    history.check(0)
    events_file(history).unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        history.check(0)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]"])
def test_a_memory_that_was_torn_is_made_anew(history: History, damage: bytes) -> None:
    history.check(0)
    (Path(str(history.store)) / "checks" / "bucket=0000.json").write_bytes(damage)
    assert [history.check(0), history.check(0)] == [2, 0]
