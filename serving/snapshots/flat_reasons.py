"""Reasons as plain columns of a table: a warehouse or a CRM takes numbers and texts, and no lists of structures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from serving.wire.reasons import NUM_REASONS, REASON_FIELDS, REASON_TYPE

# A reason takes a kilobyte while it is found, and a bucket may hold tens of thousands of customers.
_ROWS_PER_STEP = 4096


class ReasonGiver(Protocol):
    """Whatever gives reasons for rows of a snapshot."""

    def columns(self, rows: pa.RecordBatch) -> list[pa.Array]:
        """Arrays of REASON_FIELDS for rows with MEMORY_COLUMNS."""


def _plain(field: pa.Field) -> pa.DataType:
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type


# Names, meaning and order of the wire; of the list, the strongest reason first, each field by its number.
FLAT_REASON_FIELDS: tuple[pa.Field, ...] = (
    *(pa.field(field.name, _plain(field), nullable=False) for field in REASON_FIELDS[:-1]),
    *(
        pa.field(f"reason_{number}_{field.name}", _plain(field), nullable=field.nullable)
        for number in range(1, NUM_REASONS + 1)
        for field in REASON_TYPE
    ),
)


def with_flat_reasons(rows: pa.RecordBatch, giver: ReasonGiver) -> Iterator[pa.RecordBatch]:
    """The rows, a few at a time, each with FLAT_REASON_FIELDS behind its own columns.

    rows : columns of `snapshot_schema`
    """
    schema = pa.schema([*rows.schema, *FLAT_REASON_FIELDS])
    for begin in range(0, rows.num_rows, _ROWS_PER_STEP):
        some = rows.slice(begin, _ROWS_PER_STEP)
        *of_all, reasons = giver.columns(some)
        entries = reasons.flatten()
        arrays = list(of_all)
        for number in range(NUM_REASONS):
            one = entries.take(pa.array(range(number, len(entries), NUM_REASONS), pa.int64()))
            arrays += [one.field(field.name) for field in REASON_TYPE]
        plain = [
            pc.cast(array, field.type) if pa.types.is_dictionary(array.type) else array
            for array, field in zip(arrays, FLAT_REASON_FIELDS, strict=True)
        ]
        yield pa.RecordBatch.from_arrays([*some.columns, *plain], schema=schema)
