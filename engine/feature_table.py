"""The indicators of every customer as one file: a feature table for models and people that know nothing of ebbtide."""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.backends import device_errors
from engine.bucket_walk import walk_buckets
from engine.errors import InvalidArgumentError
from engine.history import History
from engine.indicators import INDICATORS, compute_indicators
from engine.instants import format_instant
from engine.partition import Partition
from engine.table_files import check_table_path, table_file
from kernels import backend_names, resolve

_PAGE_BYTES = mmap.PAGESIZE
_READ_COLUMNS = (
    "timestamp_us",
    "kind",
    "amount_minor",
    "discount_minor",
    "num_lines",
    "num_categories",
    "rating_milli",
    "store_code",
    "channel_code",
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureTableReport:
    """What was written, and where the time went.

    num_customers : rows of the file: every customer with an event of any kind before the instant
    num_marked    : ids that a CSV holds with a ' in front, so that no spreadsheet runs them
    num_later     : customers of the history who are not in it, because their first event came at the instant or after it
    read_s        : opening buckets, folding their parts and bringing their bytes into memory, summed over threads
    compute_s     : the indicators, summed over threads
    write_s       : encoding the file and making it durable
    total_s       : on the clock, once the compiled code is loaded; less than the sum where threads ran at once
    """

    out: Path
    as_of_us: int
    backend: str
    num_customers: int
    num_later: int
    num_marked: int
    num_bytes: int
    read_s: float
    compute_s: float
    write_s: float
    total_s: float


def feature_schema(history: History, as_of_us: int) -> pa.Schema:
    """customer_id: string, then a float32 for each column of the catalogue in its order, null where it is not known.

    Metadata: ebbtide.as_of, ebbtide.units (a JSON object, column -> unit) and ebbtide.history (which state was read).
    """
    units = {column.name: indicator.unit for indicator in INDICATORS for column in indicator.columns}
    return pa.schema(
        [pa.field("customer_id", pa.string(), nullable=False), *(pa.field(name, pa.float32()) for name in units)],
        metadata={
            "ebbtide.as_of": format_instant(as_of_us),
            "ebbtide.units": json.dumps(units),
            "ebbtide.history": history.manifest_hash,
        },
    )


def write_feature_table(
    history: History, out: str | Path, *, as_of_us: int, backend: str = "cpu", progress: Progress | None = None
) -> FeatureTableReport:
    """Write the indicators of every customer with an event before an instant; equal inputs give equal bytes.

    out      : .parquet, .csv or .arrow says the format; an old file is replaced once the new one is whole
    backend  : what computes; one of kernels.backend_names()
    progress : called with buckets done and buckets in all
    raises   : InvalidArgumentError for another ending, a folder that there is not, or a backend that this build lacks;
               AsOfError where the history cannot speak about the instant; IntegrityError; OSError where the disk refuses

    Memory holds a few buckets and one batch of rows, not the table. A CSV has no room for metadata, and its
    ids are marked as `table_file` says.
    """
    out = Path(out)
    check_table_path(out)
    load_backend(backend)
    started_s = time.perf_counter()
    history.check_as_of(as_of_us)
    schema = feature_schema(history, as_of_us)

    buckets = [totals.bucket for totals in history.manifest.totals]
    measured = walk_buckets(
        buckets,
        lambda bucket: _measure(history, bucket, as_of_us, backend),
        num_threads=None if backend == "cpu" else 1,  # a GPU works for one thread at a time
    )
    read_s = compute_s = write_s = 0.0
    with table_file(out, schema) as table:
        for done, bucket in enumerate(measured, start=1):
            read_s += bucket.read_s
            compute_s += bucket.compute_s
            begin_s = time.perf_counter()
            table.write(_to_batch(bucket, schema))
            write_s += time.perf_counter() - begin_s
            if progress is not None:
                progress(done, len(buckets))
        begin_s = time.perf_counter()
    ended_s = time.perf_counter()
    return FeatureTableReport(
        out=out,
        as_of_us=as_of_us,
        backend=backend,
        num_customers=table.num_rows,
        num_later=history.manifest.num_customers - table.num_rows,
        num_marked=table.num_marked,
        num_bytes=out.stat().st_size,
        read_s=read_s,
        compute_s=compute_s,
        write_s=write_s + ended_s - begin_s,
        total_s=ended_s - started_s,
    )


def load_backend(backend: str) -> None:
    """Refuse what this build cannot compute on, and load what it can: compiled code takes a second on its way from the disk.

    raises : InvalidArgumentError; DeviceError where the device cannot be used
    """
    if backend not in backend_names():
        raise InvalidArgumentError("backend", f"found {backend!r}, expected one of {', '.join(backend_names())}")
    with device_errors():
        resolve(backend)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """A bucket's customers with an event before the instant, and their indicators."""

    customer_ids: pa.StringArray
    indicators: NDArray[np.float32]  # (num_customers, NUM_COLUMNS)
    read_s: float
    compute_s: float


def _measure(history: History, bucket: int, as_of_us: int, backend: str) -> _Measured:
    begin_s = time.perf_counter()
    partition = history.partition(bucket)
    _bring_into_memory(partition)
    read_s = time.perf_counter()
    seen = np.flatnonzero(partition.timestamp_us[partition.offsets[:-1]] < as_of_us)
    indicators = compute_indicators(partition, seen, as_of_us, backend=backend)
    computed_s = time.perf_counter()
    customer_ids = partition.customer_ids
    if len(seen) < partition.num_customers:
        customer_ids = customer_ids.take(pa.array(seen))
    return _Measured(customer_ids=customer_ids, indicators=indicators, read_s=read_s - begin_s, compute_s=computed_s - read_s)


def _bring_into_memory(partition: Partition) -> None:
    """Touch each page once, so that waiting for the disk counts as reading; the kernel would touch the same ones."""
    for name in _READ_COLUMNS:
        values: NDArray[Any] = getattr(partition, name)
        values.view(np.uint8)[::_PAGE_BYTES].max(initial=0)


def _to_batch(measured: _Measured, schema: pa.Schema) -> pa.RecordBatch:
    # NaN in memory, null in files: SQL and data frames leave nulls out of a mean, and NaN would spoil it.
    columns = [pa.array(column, from_pandas=True) for column in np.ascontiguousarray(measured.indicators.T)]
    return pa.record_batch([measured.customer_ids, *columns], schema=schema)
