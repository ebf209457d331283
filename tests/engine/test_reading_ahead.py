"""Reading ahead: the system is asked for what will be read, and for nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from engine.history import HISTORY_FOLDER
from engine.schema import EVENT_SCHEMA
from tests.engine.conftest import WriteSource
from tests.engine.test_layers import ingest_nights

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no hints")

_OF_NEWS = {"quantity_milli", "num_products"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """Path -> the bytes that the system was asked for."""
    found: dict[str, set[int]] = {}

    def remember(descriptor: int, begin: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_WILLNEED
        found.setdefault(os.readlink(f"/proc/self/fd/{descriptor}"), set()).update(range(begin, begin + length))

    monkeypatch.setattr("engine.files.os.posix_fadvise", remember)
    monkeypatch.setattr("engine.history.reading_ahead._FOOTER_BYTES", 0)
    return found


def columns_asked_for(path: Path, asked: dict[str, set[int]]) -> Iterator[str]:
    """Names of the columns whose every byte was asked for; none of the others' may have been."""
    with pa.memory_map(str(path)) as file:
        whole = file.read_buffer()
        batch = pa.ipc.open_file(whole).get_batch(0)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            values = column.buffers()[1]
            begin = values.address - whole.address
            of_column = set(range(begin, begin + column.type.bit_width // 8 * len(column)))
            if of_column <= asked[str(path)]:
                yield name
            else:
                assert not of_column & asked[str(path)], name


def test_nobody_asks_for_columns_that_a_night_passes_over(
    store: Path, write_text: WriteSource, asked: dict[str, set[int]]
) -> None:
    history = ingest_nights(store, write_text)
    for bucket in range(history.num_buckets):
        first, *newer = history.parts(bucket)
        keys = set() if all(part.is_addition for part in newer) else {"order_key"}
        events = (store / HISTORY_FOLDER / first.files[1][0]).resolve()
        for settled, expected in (((), _OF_NEWS), ((first.sha256,), set())):
            asked.clear()
            history.read_ahead(bucket, settled=settled)
            every = set(EVENT_SCHEMA.names) - {"order_key"} - _OF_NEWS
            assert set(columns_asked_for(events, asked)) == every | expected | keys


def test_newer_parts_and_customers_are_asked_for_whole(store: Path, write_text: WriteSource, asked: dict[str, set[int]]) -> None:
    history = ingest_nights(store, write_text)
    bucket = max(range(history.num_buckets), key=lambda one: len(history.parts(one)))
    first, *newer = history.parts(bucket)
    assert newer
    history.read_ahead(bucket, settled=(first.sha256,))
    for name, num_bytes in (first.files[0], *(file for part in newer for file in part.files)):
        assert asked[str((store / HISTORY_FOLDER / name).resolve())] == set(range(num_bytes))


def test_what_is_missing_or_damaged_is_left_to_the_reader(store: Path, write_text: WriteSource) -> None:
    history = ingest_nights(store, write_text)
    (customers, _), (events, _) = history.parts(0)[0].files
    (store / HISTORY_FOLDER / customers).unlink()
    history.read_ahead(0, settled=(history.parts(0)[0].sha256,))
    (store / HISTORY_FOLDER / events).write_bytes(b"no arrow file")
    (store / HISTORY_FOLDER / customers).touch()
    history.read_ahead(0, settled=(history.parts(0)[0].sha256,))


def test_a_system_without_hints_is_none_the_worse(store: Path, write_text: WriteSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("engine.files.os.posix_fadvise")
    ingest_nights(store, write_text).read_ahead(0)
