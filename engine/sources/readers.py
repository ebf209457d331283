"""Files as batches: Parquet, CSV and Arrow, recognised by name and held to it by their first bytes."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from engine.errors import SourceError
from engine.files import is_utf8

# File name ending -> format; the longest ending counts.
FORMATS = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".csv": "CSV",
    ".csv.gz": "CSV",
    ".tsv": "CSV",
    ".tsv.gz": "CSV",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".arrows": "Arrow",
}
_MAGIC = (
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"\xff\xff\xff\xff", "Arrow"),
    (b"FEA1", "Feather version 1"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "Zip or Excel"),
    (b"\xd0\xcf\x11\xe0", "old Excel"),
    (b"SQLite format 3", "SQLite"),
    (b"ORC", "ORC"),
)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t|"
_BATCH_ROWS = 1 << 18
_CSV_BLOCK_BYTES = 8 << 20
_SAMPLE_CHARACTERS = 1 << 16
_GZIP_RATIO = 5  # of order logs, roughly; only the choice of the number of buckets hangs on it
# What exports write for "nothing", also where an id is meant: one customer "NULL" would be everybody without a card. Unquoted
# only: a quoted "NA" is a text. NaN is none of them: an amount that is no number is another fault than one that is not there.
_NULL_WORDS = ["", "NULL", "null", "None", "NA", "N/A", "n/a", "#N/A", "<NA>", r"\N"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What is known of a file before its rows are read.

    schema         : its columns; all text for CSV
    num_rows       : None where only reading tells
    estimated_rows : the same, or a guess from the size
    delimiter      : of CSV, else ""
    """

    path: Path
    format: str
    schema: pa.Schema
    num_rows: int | None
    estimated_rows: int
    delimiter: str = ""


def format_of(path: Path) -> str | None:
    """The format that a file's name promises, or None."""
    name = path.name.lower()
    return next((FORMATS[ending] for ending in sorted(FORMATS, key=len, reverse=True) if name.endswith(ending)), None)


def read_header(path: Path) -> Header:
    """Columns and size of a file.

    raises : SourceError where it is missing, empty, without rows, or not what its name says
    """
    expected = format_of(path)
    if not is_utf8(str(path)):
        raise SourceError(str(path), "found a name that is not UTF-8, which cannot be opened; rename the file or its folder")
    if not path.exists():
        raise SourceError(str(path), "found no such file; check the path")
    if expected is None:
        raise SourceError(str(path), f"found a name ending in {path.suffix!r}, expected one of {', '.join(FORMATS)}")
    with _refusing(path, expected):
        if path.stat().st_size == 0:
            raise SourceError(str(path), f"found an empty file (0 bytes), expected {expected} with rows; export it again")
        _check_magic(path, expected)
        header = {"Parquet": _parquet_header, "Arrow": _arrow_header, "CSV": _csv_header}[expected](path)
        columns = ", ".join(header.schema.names)  # text, or it is told here
    if header.num_rows == 0:
        raise SourceError(str(path), f"found no rows (columns: {columns}), expected at least one; export it again")
    return header


def read_batches(header: Header, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows in file order, of the named columns only, some 100,000 rows at a time.

    raises : SourceError where the file turns out to be broken
    """
    with _refusing(header.path, header.format):
        if header.format == "Parquet":
            with pq.ParquetFile(header.path) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
                    batch.validate(full=True)  # Parquet takes any bytes for text, and the history would hold what nobody can read
                    yield batch
        elif header.format == "Arrow":
            yield from _arrow_batches(header.path, columns)
        else:
            yield from _csv_batches(header, columns)


@contextmanager
def _refusing(path: Path, expected: str) -> Iterator[None]:
    """Turn what the readers raise into a SourceError with the way out."""
    try:
        yield
    except UnicodeDecodeError:
        raise _not_utf8(path, expected) from None
    except PermissionError as error:
        raise SourceError(str(path), f"cannot be read ({error.strerror}); change its permissions") from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error) as error:
        reason = str(error).strip().splitlines()[0]
        if "invalid UTF8" in reason or "Invalid UTF8" in reason:
            raise _not_utf8(path, expected) from error
        hint = "every row needs as many fields as the header" if "columns, got" in reason else "export or copy it again"
        raise SourceError(str(path), f"is no readable {expected} file ({reason}); {hint}") from error


def _not_utf8(path: Path, expected: str) -> SourceError:
    way_out = "export it again as UTF-8"
    if expected == "CSV":
        way_out = "convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv"
    return SourceError(str(path), f"found bytes that are not UTF-8, expected UTF-8 text; {way_out}")


def _check_magic(path: Path, expected: str) -> None:
    with path.open("rb") as stream:
        start = stream.read(16)
    if path.name.lower().endswith(".gz"):
        if not start.startswith(b"\x1f\x8b"):
            raise SourceError(str(path), "found a file that is not gzip, expected gzip by its name; rename it to what it is")
        with gzip.open(path) as stream:
            start = stream.read(16)
    found = next((name for magic, name in _MAGIC if start.startswith(magic)), None)
    if expected == "CSV" and start.startswith(_UTF16_MARKS):
        raise SourceError(str(path), "found UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8 old.csv > new.csv")
    if expected == "CSV" and b"\0" in start and found is None:
        found = "binary"
    if found is None and expected == "CSV":
        return
    # An Arrow stream of old writers has no mark but the length of its schema, which has zeros and no text has.
    is_unmarked_stream = found is None and expected == "Arrow" and b"\0" in start[:4]
    if found != expected and not is_unmarked_stream:
        raise SourceError(
            str(path),
            f"found {'a file that is not ' + expected if found is None else 'a file of the kind ' + found}, "
            f"expected {expected} by its name; rename it to what it is, or export it as Parquet, CSV or Arrow",
        )


def _parquet_header(path: Path) -> Header:
    with pq.ParquetFile(path) as file:
        num_rows = file.metadata.num_rows
        return Header(path=path, format="Parquet", schema=file.schema_arrow, num_rows=num_rows, estimated_rows=num_rows)


def _arrow_header(path: Path) -> Header:
    with pa.memory_map(str(path)) as stream:
        if not _is_arrow_file(path):
            reader = pa.ipc.open_stream(stream)
            first_rows = next((batch.num_rows for batch in reader if batch.num_rows), 0)
            estimated_rows = max(first_rows, path.stat().st_size // 100)
            num_rows = None if first_rows else 0
            return Header(path=path, format="Arrow", schema=reader.schema, num_rows=num_rows, estimated_rows=estimated_rows)
        file = pa.ipc.open_file(stream)
        num_rows = sum(file.get_batch(index).num_rows for index in range(file.num_record_batches))
        return Header(path=path, format="Arrow", schema=file.schema, num_rows=num_rows, estimated_rows=num_rows)


def _is_arrow_file(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(6) == b"ARROW1"


def _arrow_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as stream:
        if _is_arrow_file(path):
            file = pa.ipc.open_file(stream)
            batches: Iterator[pa.RecordBatch] = (file.get_batch(index) for index in range(file.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(stream))
        for batch in batches:
            chosen = batch.select(list(columns))
            chosen.validate(full=True)  # else a broken offset in the file would reach past its memory
            for start in range(0, chosen.num_rows, _BATCH_ROWS):
                yield chosen.slice(start, _BATCH_ROWS)


def _csv_header(path: Path) -> Header:
    open_text = gzip.open if path.name.lower().endswith(".gz") else open
    with open_text(path, "rt", encoding="utf-8-sig", newline="") as text:
        sample = text.read(_SAMPLE_CHARACTERS)
    first_line = sample.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first_line.count)
    lines = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    rows = list(itertools.islice((row for row in lines if row), 2))  # blank lines are nothing, wherever they stand
    if not rows:
        raise SourceError(str(path), "found blank lines only, expected a header and rows; export it again")
    num_bytes = path.stat().st_size * (_GZIP_RATIO if path.name.lower().endswith(".gz") else 1)
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    has_rows = len(rows) > 1 or len(sample) == _SAMPLE_CHARACTERS
    return Header(
        path=path,
        format="CSV",
        schema=schema,
        num_rows=None if has_rows else 0,
        estimated_rows=num_bytes * max(sample.count("\n"), 1) // len(sample),
        delimiter=delimiter,
    )


def _csv_batches(header: Header, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    options = pacsv.ConvertOptions(
        include_columns=list(columns),
        column_types=dict.fromkeys(columns, pa.string()),
        null_values=_NULL_WORDS,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with (
        pa.input_stream(str(header.path), compression="detect") as stream,
        pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(delimiter=header.delimiter, newlines_in_values=True),
            convert_options=options,
        ) as reader,
    ):
        yield from reader
