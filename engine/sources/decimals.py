"""Number columns of a source file as integers of a fixed decimal scale, so that money stays exact; flags such as true and no."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.sources.instant_text import is_text

LARGEST = 9_000_000_000_000  # of an amount or quantity; ten thousandths of it still fit 64 bits a hundred times over
_EXACT_FLOAT = 2**50  # below it a float64 and its product with a power of ten are off by less than half a unit together
_PLAIN = r"^\s*(?P<sign>[+-]?)(?P<whole>\d*)(?:\.(?P<part>\d*))?\s*$"
_EXPONENT = r"^\s*[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d{1,3}\s*$"
_SPECIAL = r"(?i)^\s*[+-]?(?:nan|inf|infinity)\s*$"
_TRUE = ("true", "t", "yes", "y", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "0", "0.0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """A number column once read; a row is good where none of the four flags is set.

    units : int64[num_rows]   value * 10 ** num_digits, rounded half away from zero; 0 where not good
    """

    units: NDArray[np.int64]
    is_missing: NDArray[np.bool_]
    is_infinite: NDArray[np.bool_]  # or NaN
    is_unreadable: NDArray[np.bool_]
    is_too_large: NDArray[np.bool_]


def accepts_type(kind: pa.DataType) -> bool:
    """Whether `read_numbers` can read a column of this type."""
    if pa.types.is_dictionary(kind):
        return accepts_type(kind.value_type)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(is_number or pa.types.is_null(kind) or is_text(kind))


def read_numbers(column: pa.Array, num_digits: int) -> Numbers:
    """Integers, floats, decimals or text as integers of 10 ** -num_digits; text and decimals exactly.

    column : plain, as by `engine.sources.plain`
    raises : TypeError for a type that `accepts_type` refuses
    """
    kind = column.type
    if pa.types.is_float64(kind):
        return _read_floats(column, num_digits)
    if pa.types.is_floating(kind):
        # Through the shortest text: float32 1234.56 means 1234.56 and not 1234.56005859375.
        return _read_floats(column.cast(pa.float32()).cast(pa.string()).cast(pa.float64()), num_digits)
    if pa.types.is_integer(kind):
        return _read_integers(column, num_digits)
    if pa.types.is_decimal(kind) or pa.types.is_null(kind) or is_text(kind):
        return _read_text(column.cast(pa.string()), num_digits)
    raise TypeError(f"a column of {kind} holds no numbers")


def read_flags(column: pa.Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(value, is_unreadable) of booleans, 0 and 1, or words such as true, no, Y; null and blank are false.

    returns : bool[num_rows] each
    """
    text = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(pa.string())))
    value = np.asarray(pc.is_in(text, value_set=pa.array(_TRUE)), dtype=bool)
    is_known = np.asarray(pc.is_in(text, value_set=pa.array([*_TRUE, *_FALSE, "", "nan", None], pa.string())), dtype=bool)
    return value, ~is_known


def round_half_away(values: NDArray[np.int64], divisor: int) -> NDArray[np.int64]:
    """values / divisor to the nearest integer, halves away from zero, in integers throughout; divisor even and > 0."""
    rounded: NDArray[np.int64] = np.sign(values) * ((np.abs(values) + divisor // 2) // divisor)
    return rounded


def _read_floats(column: pa.Array, num_digits: int) -> Numbers:
    is_missing = np.asarray(column.is_null(), dtype=bool)
    values = np.asarray(pc.fill_null(column, 0.0))
    is_infinite = ~np.isfinite(values)
    is_too_large = ~is_infinite & (np.abs(values) > LARGEST)
    values = np.where(is_infinite | is_too_large, 0.0, values)
    scaled = values * 10.0**num_digits
    nearest = np.rint(scaled)
    is_half = np.abs(scaled - nearest) == 0.5
    units = np.where(is_half, np.trunc(scaled) + np.sign(scaled), nearest).astype(np.int64)
    # Where float64 cannot tell neighbouring units apart the digits after the cents are noise.
    is_coarse = np.abs(scaled) > _EXACT_FLOAT
    if num_digits > 2 and is_coarse.any():
        units[is_coarse] = np.rint(values[is_coarse] * 100.0).astype(np.int64) * 10 ** (num_digits - 2)
    return Numbers(
        units=units,
        is_missing=is_missing,
        is_infinite=is_infinite,
        is_unreadable=np.zeros(len(values), bool),
        is_too_large=is_too_large,
    )


def _read_integers(column: pa.Array, num_digits: int) -> Numbers:
    values = np.asarray(pc.fill_null(column, 0))
    is_too_large = (values > LARGEST) | (values < -LARGEST) if values.dtype.itemsize == 8 else np.zeros(len(values), bool)
    nothing = np.zeros(len(values), bool)
    return Numbers(
        units=np.where(is_too_large, 0, values).astype(np.int64) * 10**num_digits,
        is_missing=np.asarray(column.is_null(), dtype=bool),
        is_infinite=nothing,
        is_unreadable=nothing,
        is_too_large=is_too_large,
    )


def _read_text(column: pa.Array, num_digits: int) -> Numbers:
    encoded = column.dictionary_encode(null_encoding="encode")  # amounts repeat: far fewer distinct texts than rows
    distinct = _read_distinct(encoded.dictionary, num_digits)
    code = np.asarray(encoded.indices)
    return Numbers(
        units=distinct.units[code],
        is_missing=distinct.is_missing[code],
        is_infinite=distinct.is_infinite[code],
        is_unreadable=distinct.is_unreadable[code],
        is_too_large=distinct.is_too_large[code],
    )


def _read_distinct(texts: pa.Array, num_digits: int) -> Numbers:
    is_missing = np.asarray(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True), dtype=bool)
    is_infinite = _matches(texts, _SPECIAL)
    has_exponent = _matches(texts, _EXPONENT)
    fields = pc.extract_regex(texts, pattern=_PLAIN)
    sign, whole, part = (pc.fill_null(pc.struct_field(fields, name), "") for name in ("sign", "whole", "part"))
    whole = pc.utf8_ltrim(whole, "0")
    num_whole_digits = np.asarray(pc.utf8_length(whole))
    has_digits = np.asarray(pc.match_substring_regex(pc.fill_null(texts, ""), r"\d"), dtype=bool)
    is_plain = ~np.asarray(fields.is_null(), dtype=bool) & has_digits & ~is_missing
    is_too_large = is_plain & (num_whole_digits > len(str(LARGEST)))

    # One digit more than is kept decides the rounding: what follows it cannot turn a half away from zero.
    digits = pc.utf8_slice_codeunits(pc.utf8_rpad(part, num_digits + 1, "0"), 0, num_digits + 1)
    digits = np.asarray(digits.cast(pa.int64()))
    leading = np.asarray(pc.if_else(pa.array(is_too_large | (num_whole_digits == 0)), "0", whole).cast(pa.int64()))
    units = leading * 10**num_digits + (digits + 5) // 10
    is_too_large |= is_plain & (units > LARGEST * 10**num_digits)
    units *= np.where(np.asarray(pc.equal(sign, "-"), dtype=bool), -1, 1)
    is_unreadable = ~(is_plain | is_missing | is_infinite | has_exponent)
    if has_exponent.any():
        by_float = _read_floats(texts.filter(pa.array(has_exponent)).cast(pa.float64()), num_digits)
        units[has_exponent] = by_float.units
        is_too_large[has_exponent] = by_float.is_too_large
        is_infinite[has_exponent] = by_float.is_infinite
    return Numbers(
        units=np.where(is_unreadable | is_missing | is_too_large, 0, units),
        is_missing=is_missing,
        is_infinite=is_infinite,
        is_unreadable=is_unreadable,
        is_too_large=is_too_large,
    )


def _matches(texts: pa.Array, pattern: str) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.match_substring_regex(texts, pattern), False), dtype=bool)
