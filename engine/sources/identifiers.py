"""Id columns of a source file as text: 17850, 17850.0 and "17850" are one customer."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.sources.instant_text import is_text

_INTEGER = r"^(?:0|-?[1-9]\d{0,17})$"
_WHOLE_FLOAT = r"^(-?\d+)\.0+$"
_EXACT_FLOAT = 2.0**53
_LARGEST_INT64 = 2**63 - 1
_TELLING_LENGTH = 5  # characters from which an id inside a longer text is hardly chance


@dataclass(frozen=True, kw_only=True, slots=True)
class Identifiers:
    """An id column once read.

    texts         : string[num_rows]   null where missing, blank or unreadable
    is_unreadable : bool[num_rows]     a number that is not whole, so no id
    is_integer    : whether the column is of integers by its type, all of which fit an int64
    """

    texts: pa.StringArray
    is_unreadable: NDArray[np.bool_]
    is_integer: bool


def accepts_type(kind: pa.DataType) -> bool:
    """Whether `read_identifiers` can read a column of this type."""
    if pa.types.is_dictionary(kind):
        return accepts_type(kind.value_type)
    return bool(
        is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def read_identifiers(column: pa.Array, *, is_untyped: bool) -> Identifiers:
    """Ids of a column.

    column     : plain, as by `engine.sources.plain`
    is_untyped : text of a CSV: it is trimmed, and 17850.0 in it is taken for the integer, as pandas writes it
    """
    kind = column.type
    nothing = np.zeros(len(column), bool)
    if pa.types.is_integer(kind):
        largest = pc.max(column).as_py() or 0  # hashes as ids are unsigned, and half of them beyond
        return Identifiers(texts=column.cast(pa.string()), is_unreadable=nothing, is_integer=largest <= _LARGEST_INT64)
    if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.scale > 0):
        return _read_floats(column.cast(pa.float64()))
    texts = column.cast(pa.string())
    if pa.types.is_decimal(kind):
        return Identifiers(texts=texts, is_unreadable=nothing, is_integer=are_integer_texts(pc.drop_null(texts)))
    if is_untyped:
        texts = pc.utf8_trim_whitespace(texts)
        texts = pc.replace_substring_regex(texts, _WHOLE_FLOAT, r"\1") if _may_hold_floats(texts) else texts
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
    else:
        texts = pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), None, texts)
    return Identifiers(texts=texts, is_unreadable=nothing, is_integer=False)


def are_integer_texts(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether each text is an integer in its one usual form, so that nothing is lost in reading it as one."""
    return bool(pc.all(pc.match_substring_regex(pc.unique(texts), _INTEGER), min_count=0).as_py())


def mentions(text: str, customer_id: str) -> bool:
    """Whether a text such as a file's name speaks of a customer.

    A short id such as 7 has to stand by itself: else every date would speak of customer 7.
    """
    if len(customer_id) >= _TELLING_LENGTH:
        return customer_id in text
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(customer_id)}(?![0-9A-Za-z])", text) is not None


def _read_floats(column: pa.Array) -> Identifiers:
    values = np.asarray(pc.fill_null(column, np.nan))
    is_missing = np.isnan(values)
    is_whole = ~is_missing & (np.abs(values) < _EXACT_FLOAT) & (np.trunc(values) == values)
    whole = pa.array(np.where(is_whole, values, 0).astype(np.int64), mask=~is_whole)
    return Identifiers(texts=whole.cast(pa.string()), is_unreadable=~is_missing & ~is_whole, is_integer=True)


def _may_hold_floats(texts: pa.StringArray) -> bool:
    return bool(pc.any(pc.ends_with(texts, ".0"), min_count=0).as_py() or False)
