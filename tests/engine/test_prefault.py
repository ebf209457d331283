"""Prefaulting: what is mapped is not faulted again, and a file that lost bytes ends nothing."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine import prefault as module
from engine.prefault import memory_bytes, prefault

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="MADV_POPULATE_READ is Linux's")


def mapped(path: Path, num_rows: int) -> pa.RecordBatch:
    batch = pa.record_batch({"row": np.arange(num_rows), "id": [f"customer {row}" for row in range(num_rows)]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)


def num_bytes_of(batch: pa.RecordBatch) -> int:
    return sum(buffer.size for column in batch.columns for buffer in column.buffers() if buffer is not None)


def num_faults_of_reading(batch: pa.RecordBatch) -> int:
    values = batch.column("row").to_numpy()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for place in range(0, len(values), 512):  # each page
        values[place]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_what_is_mapped_is_not_faulted_again(tmp_path: Path) -> None:
    batch = mapped(tmp_path / "a.arrow", 1_000_000)
    expected = num_bytes_of(batch)
    done = prefault(batch)
    if done == 0:
        pytest.skip("this kernel is older than MADV_POPULATE_READ")
    assert done == expected
    assert num_faults_of_reading(batch) < num_faults_of_reading(mapped(tmp_path / "b.arrow", 1_000_000))


def test_a_file_that_was_cut_short_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    batch = mapped(path, 100_000)
    os.truncate(path, 4096)  # to read on would be a SIGBUS
    assert prefault(batch) < num_bytes_of(batch)


def test_nothing_of_an_empty_batch(tmp_path: Path) -> None:
    assert prefault(mapped(tmp_path / "a.arrow", 0)) == 0


def test_the_memory_is_that_of_the_control_group_where_it_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(module, "_CGROUP_LIMIT", limit)
    physical = memory_bytes()
    for text, expected in (("max\n", physical), (f"{1 << 30}\n", min(physical, 1 << 30)), (f"{1 << 60}\n", physical)):
        limit.write_text(text)
        assert memory_bytes() == expected
