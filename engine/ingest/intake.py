"""Intake: one source file read to its end, good lines to the spill, bad rows to the quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.errors import SourceError
from engine.ingest.quarantine import Quarantine
from engine.ingest.spill import Spill
from engine.schema import KIND_NAMES, MAX_ID_BYTES, EventKind
from engine.sources import Source
from engine.sources.lines import REASONS, Reason, read_lines

_NUM_EXAMPLES = 3
_ADVICE = {
    Reason.CUSTOMER_TOO_LONG: f"expected at most {MAX_ID_BYTES} bytes of UTF-8; is it the column of the ids?",
    Reason.TIMESTAMP_UNREADABLE: (
        "expected ISO 8601 such as 2017-12-02 08:30:00, or name the format, such as --timestamp-format '%d/%m/%Y %H:%M'"
    ),
    Reason.KIND_UNREADABLE: f"expected one of {', '.join(KIND_NAMES)}; rename the column if it means something else",
    Reason.RATING_OUT_OF_RANGE: "expected numbers from 0 to 1,000,000; shift a scale that begins below zero",
    Reason.AMOUNT_UNREADABLE: "expected numbers such as 1234.50, without separators of thousands or signs of currency",
    Reason.TIMESTAMP_FUTURE: "expected times up to now, UTC",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """What a file held.

    bad_rows        : reason -> rows kept out; only reasons that occurred
    has_integer_ids : whether every customer id was an integer
    num_sub_cent    : good rows whose amount has a fraction of a cent
    """

    num_rows: int
    bad_rows: Mapping[str, int]
    has_integer_ids: bool
    num_sub_cent: int


def read_source(
    source: Source,
    *,
    timestamp_format: str | None,
    now_us: int,
    spill: Spill,
    quarantine: Quarantine,
    on_rows: Callable[[int], None],
    kind: EventKind = EventKind.PURCHASE,
) -> Intake:
    """Read a file to its end.

    kind    : what rows are that do not say it themselves
    on_rows : called with the number of rows of each batch
    raises  : SourceError where the file breaks off, or none of its rows can be used
    """
    num_rows = num_sub_cent = 0
    num_bad = np.zeros(len(REASONS), np.int64)
    has_integer_ids = True
    examples: dict[Reason, list[str]] = {}
    for batch in source.batches():
        columns = {field: batch.column(name) for field, name in source.mapping.items()}
        try:
            lines = read_lines(columns, is_untyped=source.is_untyped, timestamp_format=timestamp_format, now_us=now_us, kind=kind)
            quarantine.add(dict(zip(batch.schema.names, batch.columns, strict=True)), lines.reason, num_rows + 1)
        except pa.ArrowInvalid as error:
            raise SourceError(str(source.path), f"found values that cannot be read as text ({error}); export it again") from error
        spill.add(lines.table)
        num_bad += np.bincount(lines.reason[lines.reason >= 0], minlength=len(REASONS))
        _note_examples(examples, columns, lines.reason)
        num_rows += batch.num_rows
        num_sub_cent += lines.num_sub_cent
        has_integer_ids = has_integer_ids and lines.has_integer_ids
        on_rows(batch.num_rows)
    quarantine.close()
    bad_rows = {reason.value: int(count) for reason, count in zip(REASONS, num_bad, strict=True) if count}
    if num_rows == 0:
        raise SourceError(str(source.path), "found no rows, expected at least one; export it again")
    if num_bad.sum() == num_rows:
        raise SourceError(str(source.path), _nothing_usable(source, num_rows, bad_rows, examples))
    return Intake(num_rows=num_rows, bad_rows=bad_rows, has_integer_ids=has_integer_ids, num_sub_cent=num_sub_cent)


def _note_examples(examples: dict[Reason, list[str]], columns: Mapping[str, pa.Array], reason: np.ndarray) -> None:
    for index in np.unique(reason[reason >= 0]):
        why = REASONS[index]
        known = examples.setdefault(why, [])
        for row in np.flatnonzero(reason == index)[: _NUM_EXAMPLES - len(known)]:
            known.append(_text_of(columns[why.field][int(row)]) if why.field in columns else "")


def _text_of(value: pa.Scalar) -> str:
    """A value as a person would read it; Python knows no years above 9999 and not every zone."""
    try:
        return str(value.as_py())
    except (OverflowError, ValueError, KeyError):
        return f"{value.value} in {value.type}"


def _nothing_usable(source: Source, num_rows: int, bad_rows: Mapping[str, int], examples: Mapping[Reason, list[str]]) -> str:
    told = []
    for value, count in sorted(bad_rows.items(), key=lambda item: -item[1]):
        reason = Reason(value)
        # What is missing has no examples worth telling: None, or blanks.
        found = "" if "missing" in value else ", found " + ", ".join(repr(example) for example in examples[reason])
        advice = f"; {_ADVICE[reason]}" if reason in _ADVICE else ""
        told.append(f"{count:,} x {value} (column {source.mapping.get(reason.field)!r}{found}{advice})")
    return f"none of its {num_rows:,} rows can be used: " + "; ".join(told)
