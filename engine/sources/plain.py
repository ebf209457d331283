"""Plain columns: without dictionaries and views, which writers choose for size and speed, and which mean the same."""

from __future__ import annotations

import pyarrow as pa


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows and names, each column plain."""
    return pa.RecordBatch.from_arrays([plain(column) for column in batch.columns], names=batch.schema.names)


def plain(column: pa.Array) -> pa.Array:
    """The same values as text, bytes, numbers or instants of their own.

    Arrow has no `take` of views, which Polars writes, and no cast of dictionaries of them.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary).take(column.indices)
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    return column
