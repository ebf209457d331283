"""Quarantine: bad rows beside the history, with their row number, the reason and what the source said."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from engine.refusals import naming
from engine.sources.identifiers import mentions, read_identifiers
from engine.sources.lines import REASONS
from engine.storage import Place, deliver, sync, write_bytes

QUARANTINE_FOLDER = "quarantine"
_SHORT_HASH_DIGITS = 8
_LARGEST_FIELD_BYTES = 2**31 - 1  # a broken quote makes one field of the rest of a file


class Quarantine:
    """The bad rows of one source file, written aside first and put in place at the commit.

    The file is CSV: `row` (1 is the first row of data), `reason`, then the mapped columns as the source names them.
    """

    def __init__(self, history: Place, staging: Path, *, source_name: str, sha256: str) -> None:
        stem = source_name.split(".", 1)[0]
        self.path = history / QUARANTINE_FOLDER / f"{stem}-{short_hash(sha256)}.csv"
        self._temporary = staging / self.path.name
        self._sink: pa.OSFile | None = None
        self._writer: pacsv.CSVWriter | None = None

    def add(self, columns: Mapping[str, pa.Array], reason: NDArray[np.int8], first_row: int) -> None:
        """Write the rows with a reason.

        columns   : source column name -> values of a batch
        reason    : int8[num_rows]   index into engine.sources.lines.REASONS, -1 for a good row
        first_row : number of the batch's first row in the source, counted from 1
        """
        bad = np.flatnonzero(reason >= 0)
        if len(bad) == 0:
            return
        rows = pa.array(bad)
        texts = [_as_text(column.take(rows)) for column in columns.values()]
        reasons = pa.array([why.value for why in REASONS]).take(pa.array(reason[bad]))
        table = pa.table([pa.array(bad + first_row), reasons, *texts], names=["row", "reason", *columns])
        with naming(self._temporary):
            if self._writer is None:
                self._sink = pa.OSFile(str(self._temporary), "wb")
                self._writer = pacsv.CSVWriter(self._sink, table.schema)
            self._writer.write_table(table)

    def close(self) -> None:
        """End writing; harmless if nothing was written."""
        if self._writer is not None and self._sink is not None:
            with naming(self._temporary):
                self._writer.close()
                self._sink.close()

    @property
    def path_if_written(self) -> Place | None:
        """Where the rows are after the commit; None where the source has no bad row."""
        return None if self._writer is None else self.path

    def commit(self) -> None:
        """Put the file in place; a file of an earlier reading of the same source, under another mapping, gives way."""
        if self._writer is None:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(exist_ok=True)
        deliver(self._temporary, self.path)
        sync(self.path.parent)


def erase_rows(history: Place, customer_id: str, customer_column: Mapping[str, str]) -> int:
    """Remove a customer's rows from every quarantine file of a history; returns how many.

    customer_column : short hash, as in the files' names -> the column that holds the customer there

    A row goes if its customer is the one, however the source wrote it, or if it has no customer to go by and says the id.
    """
    num_erased = 0
    csv.field_size_limit(_LARGEST_FIELD_BYTES)
    for path in sorted((history / QUARANTINE_FOLDER).glob("*.csv")):
        header, *rows = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
        column = customer_column.get(path.stem[-_SHORT_HASH_DIGITS:], "")
        place = header.index(column, 2) if column in header[2:] else None
        # A row of another length is what is left of one that was torn apart: files of before may hold some.
        customers = (row[place] if place is not None and len(row) == len(header) else None for row in rows)
        kept = [row for row, customer in zip(rows, customers, strict=True) if not _is_of(row[2:], customer, customer_id)]
        if len(kept) == len(rows):
            continue
        num_erased += len(rows) - len(kept)
        if not kept:
            path.unlink()
            sync(path.parent)
            continue
        text = io.StringIO(newline="")
        # Quoted throughout, as Arrow writes it: by itself Python leaves a lone \r bare, and would read it as the end of a row.
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows([header, *kept])
        write_bytes(path, text.getvalue().encode())
    return num_erased


def short_hash(sha256: str) -> str:
    """What the name of a source's quarantine file ends in."""
    return sha256.removeprefix("sha256:")[:_SHORT_HASH_DIGITS]


def _is_of(values: Sequence[str], customer: str | None, customer_id: str) -> bool:
    if customer is None or not customer.strip():
        return any(mentions(value, customer_id) for value in values)
    if customer == customer_id:
        return True
    return bool(read_identifiers(pa.array([customer]), is_untyped=True).texts[0].as_py() == customer_id)


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))  # the same instants, without asking what the zone is
    return column.cast(pa.string())
