"""Lines on their way to their buckets: sorted out on disk, so that memory holds a chunk of the log and never the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.hashing import bucket_of, hash_texts
from engine.refusals import naming
from engine.sources.lines import LINE_SCHEMA

# Lines held before they go to disk: 60 MB or so, and still 128 lines a slice where there are 4,096 buckets.
_CHUNK_LINES = 1 << 19
_PIECE_LINES = 1 << 21
_COMPRESSION = pa.ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """One file per bucket in a staging folder, each a chain of Arrow streams, lines in order of arrival."""

    def __init__(self, folder: Path, num_buckets: int) -> None:
        self.num_lines = np.zeros(num_buckets, np.int64)
        self._folder = folder
        self._num_buckets = num_buckets
        self._held: list[pa.Table] = []
        self._num_held = 0

    def add(self, lines: pa.Table) -> None:
        """Take lines (LINE_SCHEMA); they may stay in memory until `flush`."""
        self._held.append(lines)
        self._num_held += lines.num_rows
        if self._num_held >= _CHUNK_LINES:
            self.flush()

    def flush(self) -> None:
        """Append what is held to the files of the buckets."""
        if not self._num_held:
            return
        lines = pa.concat_tables(self._held).combine_chunks()
        self._held, self._num_held = [], 0
        bucket = bucket_of(lines.column("customer_id").chunk(0), self._num_buckets)
        num_lines = np.bincount(bucket, minlength=self._num_buckets)
        # A stable sort of 16-bit numbers is a radix sort.
        lines = lines.take(pa.array(np.argsort(bucket.astype(np.uint16), kind="stable")))
        stop = np.cumsum(num_lines)
        for index in np.flatnonzero(num_lines):
            # One whole stream each time: 4,096 files need not be open at once.
            path = self._path(int(index))
            with (
                naming(path),
                path.open("ab") as sink,
                pa.ipc.new_stream(sink, LINE_SCHEMA, options=_COMPRESSION) as writer,
            ):
                writer.write_table(lines.slice(stop[index] - num_lines[index], num_lines[index]))
        self.num_lines += num_lines

    def buckets(self) -> list[int]:
        """The buckets that have flushed lines, ascending."""
        return [int(bucket) for bucket in np.flatnonzero(self.num_lines)]

    def pieces(self, bucket: int) -> Iterator[pa.Table]:
        """All flushed lines of a bucket, a bounded number at a time; all lines of a customer are in one piece.

        A store that began small has few buckets, however much comes later: then the file is read once per piece.
        """
        num_pieces = -(-int(self.num_lines[bucket]) // _PIECE_LINES)
        for piece in range(num_pieces):
            batches: list[pa.RecordBatch] = []
            with pa.OSFile(str(self._path(bucket)), "rb") as stream:
                while stream.tell() < stream.size():
                    batches.extend(self._pick(batch, piece, num_pieces) for batch in pa.ipc.open_stream(stream))
            lines = pa.Table.from_batches(batches, schema=LINE_SCHEMA).combine_chunks()
            if lines.num_rows:
                yield lines

    def _pick(self, batch: pa.RecordBatch, piece: int, num_pieces: int) -> pa.RecordBatch:
        if num_pieces == 1:
            return batch
        # The bucket is the hash modulo the number of buckets; what the division leaves is free to choose by.
        rest = hash_texts(batch.column("customer_id")) // np.uint64(self._num_buckets)
        return batch.filter(pa.array(rest % np.uint64(num_pieces) == piece))

    def remove(self, bucket: int) -> None:
        """Give the disk space of a bucket back."""
        self._path(bucket).unlink(missing_ok=True)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:04d}.lines.arrows"
