"""A snapshot in memory: memory-mapped columns, and rows found by bucket and binary search.

A row number counts through the buckets in order, so it names a customer of the whole snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.hashing import bucket_of, hash_text
from engine.history.events import find_text
from serving.snapshots.manifest import SnapshotInputs, SnapshotManifest
from serving.snapshots.ranking import Ranking, rank
from serving.snapshots.schema import MEMORY_COLUMNS
from serving.snapshots.search import find_strings


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """What is served of a bucket, as views.

    values   : name -> [num_rows]             the columns of numbers
    survival : float32[num_rows, num_bins]
    store_id : string[num_rows]
    """

    values: Mapping[str, NDArray[Any]]
    survival: NDArray[np.float32]
    store_id: pa.StringArray


class Snapshot:
    """The scores of the whole chain as of one instant; immutable.

    manifest : what it was made from
    files    : one record batch per bucket, with the columns of `snapshot_schema`
    batches  : the same without MEMORY_COLUMNS: what is served
    memories : MEMORY_COLUMNS: what the next scoring begins from

    `open_current` and `open_snapshot` make them from files, after checking every hash.
    """

    def __init__(self, manifest: SnapshotManifest, files: Sequence[pa.RecordBatch]) -> None:
        self.manifest = manifest
        self.files = tuple(files)
        self.batches = tuple(file.select([name for name in file.schema.names if name not in MEMORY_COLUMNS]) for file in files)
        self.memories = tuple(file.select(list(MEMORY_COLUMNS)) for file in files)
        self.edges_days = np.asarray(manifest.inputs.edges_days)  # float64[num_bins]
        self._ids = tuple(file.column("customer_id") for file in files)
        self._columns: list[Columns | None] = [None] * len(self.files)  # by bucket, where they were asked for
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self.batches)])  # int64[num_buckets + 1]

    @property
    def snapshot_id(self) -> str:
        return self.manifest.snapshot_id

    @property
    def inputs(self) -> SnapshotInputs:
        return self.manifest.inputs

    @property
    def num_customers(self) -> int:
        return int(self._starts[-1])

    def lookup(self, customer_id: str) -> int | None:
        """Row of a customer, or None."""
        bucket = hash_text(customer_id) % len(self._ids)
        row = find_text(self._ids[bucket], customer_id)
        return None if row < 0 else int(self._starts[bucket]) + row

    def lookup_many(self, customer_ids: pa.StringArray) -> NDArray[np.int64]:
        """Rows of many customers.

        customer_ids : string[num_wanted]
        returns      : int64[num_wanted]; -1 where the snapshot has no such customer
        """
        rows = np.full(len(customer_ids), -1, np.int64)
        for bucket, places in _groups(bucket_of(customer_ids, len(self.batches))):
            found = find_strings(self._ids[bucket], customer_ids.take(pa.array(places)))
            rows[places] = np.where(found < 0, -1, found + self._starts[bucket])
        return rows

    def at(self, row: int) -> tuple[Columns, int]:
        """What is served of the bucket that holds a row, and where in it the row is: to read one customer without a batch."""
        bucket = int(np.searchsorted(self._starts, row, side="right")) - 1
        columns = self._columns[bucket]
        if columns is None:  # two threads may both come here, and make the same
            columns = self._columns[bucket] = _columns_of(self.batches[bucket])
        return columns, row - int(self._starts[bucket])

    def take(self, rows: NDArray[np.int64] | NDArray[np.int32], *, with_memory: bool = False) -> pa.RecordBatch:
        """The given rows, in the given order, as one record batch; with MEMORY_COLUMNS if asked."""
        files = self.files if with_memory else self.batches
        pieces = [files[0].slice(0, 0)]
        places = [np.zeros(0, np.int64)]
        bucket_of_row = np.searchsorted(self._starts, rows, side="right") - 1
        for bucket, members in _groups(bucket_of_row):
            pieces.append(files[bucket].take(pa.array(rows[members] - self._starts[bucket])))
            places.append(members)
        by_bucket = pa.concat_batches(pieces)
        back = np.empty(len(rows), np.int64)
        back[np.concatenate(places)] = np.arange(len(rows))
        return by_bucket.take(pa.array(back))

    def slice(self, begin: int, end: int, *, with_memory: bool = False) -> pa.RecordBatch:
        """Rows [begin, end), as a view where one bucket holds them all; with MEMORY_COLUMNS if asked."""
        files = self.files if with_memory else self.batches
        first = int(np.searchsorted(self._starts, begin, side="right")) - 1
        pieces = []
        for bucket in range(max(first, 0), len(self.batches)):
            start = int(self._starts[bucket])
            if start >= end:
                break
            offset = max(begin - start, 0)
            pieces.append(files[bucket].slice(offset, end - start - offset))
        if len(pieces) == 1:
            return pieces[0]
        return pa.concat_batches([files[0].slice(0, 0), *pieces])

    @cached_property
    def ranking(self) -> Ranking:
        """Who is most at risk; sorted at first use."""
        table = pa.Table.from_batches(self.batches)
        return rank(table["churn_probability"].to_numpy(), table["customer_id"], table["store_id"])


def _columns_of(batch: pa.RecordBatch) -> Columns:
    names = set(batch.schema.names) - {"customer_id", "store_id", "survival"}
    return Columns(
        values={name: batch.column(name).to_numpy() for name in names},
        survival=survival(batch),
        store_id=batch.column("store_id"),
    )


def survival(batch: pa.RecordBatch) -> NDArray[np.float32]:
    """float32[num_rows, num_bins] of a record batch, as a view."""
    return floats(batch, "survival")


def floats(batch: pa.RecordBatch, name: str) -> NDArray[np.float32]:
    """A column of lists of one length as float32[num_rows, length], as a view: "survival", "last_order", "state", "summary"."""
    values: NDArray[np.float32] = _lists(batch.column(name))
    return values


def rhythms(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """int64[num_rows, len(RHYTHM_COLUMNS)] of a record batch, as a view."""
    values: NDArray[np.int64] = _lists(batch.column("rhythm"))
    return values


def _lists(column: pa.FixedSizeListArray) -> NDArray[Any]:
    values: NDArray[Any] = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    return values


def _groups(keys: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(key, places that have it in rising order) of every key that occurs."""
    if len(keys) == 0:
        return
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    for places in np.split(order, starts[1:]):
        yield int(keys[places[0]]), places
