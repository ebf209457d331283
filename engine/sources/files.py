"""Sources: which files, and which of their columns is which field; all of it settled before a row is read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.errors import InvalidArgumentError, SourceError
from engine.fields import SOURCE_FIELD_NAMES, SOURCE_FIELDS
from engine.schema import EventKind
from engine.sources import decimals, identifiers, instant_text
from engine.sources.plain import plain_batch
from engine.sources.readers import FORMATS, Header, format_of, read_batches, read_header

_NUMBERS = "numbers, decimals or text"
_IDS = "text or integers"
_EXPECTED = {
    "timestamp": "timestamps, dates or ISO 8601 text",
    "amount": _NUMBERS,
    "quantity": _NUMBERS,
    "discount": _NUMBERS,
    "rating": _NUMBERS,
    "is_return": "booleans, 0 and 1, or words such as true and false",
}
# What other systems call the fields, for the hint in the refusal.
_ALIASES = {
    "customer_id": ("customer", "client", "household", "member", "shopper", "user", "account", "card", "loyalty"),
    "timestamp": ("time", "date", "datetime", "purchased", "created"),
    "amount": ("sales_value", "price", "total", "revenue", "value", "spend", "net", "gross"),
    "rating": ("stars", "score", "satisfaction", "grade"),
    "order_id": ("invoice", "basket", "transaction", "order", "receipt", "ticket"),
}
_NUM_SUGGESTIONS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file that passed every check that its header allows.

    mapping : field -> column, in the order of engine.schema.SOURCE_FIELDS
    """

    header: Header
    mapping: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.header.path

    @property
    def is_untyped(self) -> bool:
        """Whether the file has text only."""
        return self.header.format == "CSV"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The mapped columns, plain, under the names that the source gives them.

        raises : SourceError where the file is broken further down
        """
        return map(plain_batch, read_batches(self.header, list(dict.fromkeys(self.mapping.values()))))


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files meant: a folder stands for all source files below it, sorted; hidden ones and those of `_` are left out.

    raises : InvalidArgumentError where no path is given; SourceError for a folder without source files
    """
    if not paths:
        raise InvalidArgumentError("files", "found none, expected at least one file or folder")
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        below = [file for file in sorted(path.rglob("*")) if file.is_file() and format_of(file) and not _is_hidden(file, path)]
        if not below:
            raise SourceError(str(path), f"found a folder without source files, expected some ending in {', '.join(FORMATS)}")
        found.extend(below)
    return found


def open_source(
    path: Path, columns: Mapping[str, str], timestamp_format: str | None, kind: EventKind = EventKind.PURCHASE
) -> Source:
    """Read a file's header and settle which column is which field.

    columns : field -> column, as the caller maps them; other fields are found by their own name
    kind    : what the rows are where they do not say it themselves
    raises  : SourceError; InvalidArgumentError for a field that there is not
    """
    check_fields(columns)
    header = read_header(path)
    names = header.schema.names
    mapping = {}
    for field in SOURCE_FIELDS:
        column = columns.get(field.name, field.name)
        if column in names:
            mapping[field.name] = column
            _check_column(header, field.name, column, timestamp_format)
        elif field.name in columns:
            raise _missing(path, f"found no column {column!r} for the field {field.name}", field.name, column, names)
        elif field.required:
            wanted = f"found no column {field.name!r}, which every source needs ({field.description})"
            raise _missing(path, wanted, field.name, column, names)
    if kind == EventKind.FEEDBACK and "rating" not in mapping and "kind" not in mapping:
        raise _missing(path, "found no column 'rating', which feedback needs", "rating", "rating", names)
    return Source(header=header, mapping=mapping)


def check_fields(columns: Mapping[str, str]) -> None:
    """Raise InvalidArgumentError for a mapping of a field that there is not."""
    for name in columns:
        if name not in SOURCE_FIELD_NAMES:
            raise InvalidArgumentError("column", f"found field {name!r}, expected one of {', '.join(SOURCE_FIELD_NAMES)}")


def _check_column(header: Header, field: str, column: str, timestamp_format: str | None) -> None:
    if len(header.schema.get_all_field_indices(column)) > 1:
        raise SourceError(str(header.path), f"found the column {column!r} more than once, expected it once; rename one of them")
    kind = header.schema.field(column).type
    if field == "timestamp":
        is_accepted = instant_text.accepts_type(kind, timestamp_format)
    elif field in ("amount", "quantity", "discount", "rating"):
        is_accepted = decimals.accepts_type(kind)
    else:
        is_accepted = identifiers.accepts_type(kind)
    if is_accepted:
        return
    hint = "convert the column"
    if field == "timestamp" and pa.types.is_integer(kind):
        hint = "seconds since 1970 need --timestamp-format %s, numbers such as 20171202 need --timestamp-format %Y%m%d"
    found = f"column {column!r} (field {field}): found type {kind}, expected {_EXPECTED.get(field, _IDS)}"
    raise SourceError(str(header.path), f"{found}; {hint}")


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _missing(path: Path, found: str, field: str, wanted: str, names: Sequence[str]) -> SourceError:
    return SourceError(str(path), f"{found}; the columns are {', '.join(names) or 'none'}; {_hint(field, wanted, names)}")


def _hint(field: str, wanted: str, names: Sequence[str]) -> str:
    """The --column to type, for the columns that look like what is missing."""
    by_lower = {name.lower(): name for name in reversed(names)}
    close = [by_lower[match] for match in difflib.get_close_matches(wanted.lower(), by_lower, n=_NUM_SUGGESTIONS, cutoff=0.6)]
    close += [name for name in names if name not in close and any(alias in name.lower() for alias in _ALIASES.get(field, ()))]
    if not close:
        return f"if one of them holds it, say so with --column {field}=NAME"
    return "perhaps you mean " + " or ".join(f"--column {_quoted(f'{field}={name}')}" for name in close[:_NUM_SUGGESTIONS])


def _quoted(argument: str) -> str:
    return f'"{argument}"' if any(character.isspace() for character in argument) else argument
