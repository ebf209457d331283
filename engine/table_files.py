"""Tables as files for others to read: Parquet, CSV or Arrow, written piece by piece and there whole or not at all.

with table_file(out, schema) as table:
    table.write(batch)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from engine.errors import InvalidArgumentError
from engine.files import is_utf8, move_into_place, sync_folder, temporary_name
from engine.refusals import naming

FORMATS = ("parquet", "csv", "arrow")

# Rows of a group of a Parquet file and of a batch of an Arrow file: 8 MB of numbers, whatever the size of the buckets.
_ROWS_PER_BATCH = 1 << 16
# What makes a spreadsheet read a text as a formula (OWASP, "CSV Injection"), and the mark that is put before it: with it in the
# class, taking one mark off every text that begins with it gives back exactly what was written.
_MARK = "'"
_FORMULA_START = "^['=+\\-@\\t\\r\\n＝＋－＠]"


class TableFile:
    """A file that is being written. Memory holds the rows of one group, not the table."""

    def __init__(self, writer: _Writer, schema: pa.Schema, *, marks_formulas: bool) -> None:
        self.num_rows = 0
        self.num_marked = 0  # texts that a CSV holds with a ' in front
        self._writer = writer
        self._schema = schema
        self._marks_formulas = marks_formulas
        self._held: list[pa.RecordBatch] = []
        self._num_held = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Rows to come after those before.

        batch  : columns of the schema
        raises : StorageError where the disk refuses
        """
        begin = 0
        while begin < batch.num_rows:
            piece = batch.slice(begin, _ROWS_PER_BATCH - self._num_held)
            begin += piece.num_rows
            self._held.append(piece)
            self._num_held += piece.num_rows
            if self._num_held == _ROWS_PER_BATCH:
                self.flush()

    def flush(self) -> None:
        """Write what is held back to make groups of a good size."""
        if not self._held:
            return
        table = pa.Table.from_batches(self._held, self._schema).combine_chunks()
        self._held, self._num_held = [], 0
        self._writer.write_table(self._mark_formulas(table) if self._marks_formulas else table)
        self.num_rows += table.num_rows

    def _mark_formulas(self, table: pa.Table) -> pa.Table:
        for place, field in enumerate(table.schema):
            if not pa.types.is_string(field.type):
                continue
            column = table.column(place)
            is_formula = pc.match_substring_regex(column, _FORMULA_START)
            num_formulas = pc.sum(is_formula).as_py() or 0
            if num_formulas:
                self.num_marked += num_formulas
                marked = pc.binary_join_element_wise(_MARK, column, "")
                table = table.set_column(place, field, pc.if_else(is_formula, marked, column))
        return table


def check_table_path(out: str | Path, *, file_format: str | None = None, may_replace: bool = True) -> str:
    """The format of FORMATS that a file will have: the one given, or the one that its ending says.

    raises : InvalidArgumentError for an ending that says none, or another one than is given; for "-"; for what is no
             UTF-8; for a folder that there is
             not; for a file that is there already and may not be replaced
    """
    out = Path(out)
    if str(out) == "-":
        raise InvalidArgumentError(
            "out", "found '-', expected a file: a table appears once it is whole, and so not on standard output"
        )
    if not is_utf8(str(out)):
        raise InvalidArgumentError("out", f"found {str(out)!r}, a name that is not UTF-8; name another file")
    ending = out.suffix.lower().removeprefix(".")
    if file_format is None and ending not in FORMATS:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise InvalidArgumentError("out", f"found {str(out)!r}, expected a file that ends in {endings}")
    if file_format is not None and ending in FORMATS and ending != file_format:
        raise InvalidArgumentError("out", f"found {str(out)!r}, expected .{file_format} for the format {file_format}")
    if not out.parent.is_dir():
        raise InvalidArgumentError("out", f"found no folder {str(out.parent)!r}; make it first, or name another file")
    if out.is_dir():
        raise InvalidArgumentError("out", f"{str(out)!r} is a folder, expected a file")
    if out.exists() and not may_replace:
        raise InvalidArgumentError("out", f"found {str(out)!r} there already; name another file, or replace it with --force")
    return file_format or ending


@contextmanager
def table_file(
    out: str | Path,
    schema: pa.Schema,
    *,
    file_format: str | None = None,
    marks_formulas: bool = True,
    may_replace: bool = True,
) -> Iterator[TableFile]:
    """Write a table beside a file, and replace the file once the table is whole; what ends the writing early leaves nothing.

    file_format    : one of FORMATS; by default what the file's ending says
    marks_formulas : in CSV, texts that a spreadsheet would run (they begin with = + - @, a tab or a line end), and those that
                     begin with ', get a ' in front. Parquet and Arrow files hold every text as it is.
    may_replace    : what is there already is replaced
    raises         : InvalidArgumentError as `check_table_path`; StorageError where the disk refuses

    Equal batches give equal bytes; in Parquet and CSV equal rows do, however they are cut.
    """
    out = Path(out)
    file_format = check_table_path(out, file_format=file_format, may_replace=may_replace)
    temporary = out.with_name(temporary_name(out.name))
    try:
        with naming(out):
            with _OPENERS[file_format](temporary, schema) as writer:
                table = TableFile(writer, schema, marks_formulas=marks_formulas and file_format == "csv")
                yield table
                table.flush()
            move_into_place(temporary, out)
            sync_folder(out.parent)
    finally:
        temporary.unlink(missing_ok=True)  # there is one only where it was not moved into place


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...


_OPENERS: dict[str, Callable[[Path, pa.Schema], AbstractContextManager[_Writer]]] = {
    "parquet": lambda path, schema: pa.parquet.ParquetWriter(path, schema, compression="zstd"),
    "csv": pa.csv.CSVWriter,
    "arrow": lambda path, schema: pa.ipc.new_file(str(path), schema),
}
