"""Timestamp columns of a source file as UTC microseconds: ISO 8601 text, text of a named format, dates, timestamps."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US, HOUR_US

# The span that is believed: 1900-01-01 up to, not including, 2262-01-01 (where nanoseconds since 1970 end).
EARLIEST_US = -25_567 * DAY_US
LATEST_US = 106_651 * DAY_US

_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000
_TICKS_US = {"s": _SECOND_US, "ms": 1000, "us": 1}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE = r"(?P<zone>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)"
_ISO = (
    r"^\s*(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    rf"\s*{_ZONE}?\s*$"
)
_DIRECTIVES = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short_year>\d{2})",
    "m": r"(?P<month>\d{1,2})",
    "b": r"(?P<month_name>[A-Za-z]{3})[A-Za-z]*",
    "B": r"(?P<month_name>[A-Za-z]{3})[A-Za-z]*",
    "d": r"(?P<day>\d{1,2})",
    "H": r"(?P<hour>\d{1,2})",
    "I": r"(?P<hour>\d{1,2})",
    "p": r"(?P<half>[AaPp][Mm])",
    "M": r"(?P<minute>\d{1,2})",
    "S": r"(?P<second>\d{1,2})",
    "f": r"(?P<fraction>\d{1,9})",
    "z": _ZONE,
    "a": "[A-Za-z]+",
    "A": "[A-Za-z]+",
    "s": r"(?P<epoch>-?\d{1,11})",
    "%": "%",
}
_COMPOSITES = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Instants:
    """A timestamp column once read.

    timestamp_us : int64[num_rows]   0 where not readable
    is_missing   : bool[num_rows]    null or blank
    is_readable  : bool[num_rows]
    """

    timestamp_us: NDArray[np.int64]
    is_missing: NDArray[np.bool_]
    is_readable: NDArray[np.bool_]


def read_instants(column: pa.Array, timestamp_format: str | None = None) -> Instants:
    """UTC microseconds of a column of text, timestamps, dates, or (with a format) integers such as 20171202.

    column : plain, as by `engine.sources.plain`
    raises : InvalidArgumentError for a format that cannot be used; TypeError for a type that `accepts_type` refuses
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _read_ticks(column, kind.unit)
    if pa.types.is_date32(kind):
        return _scale_ticks(column.cast(pa.int32()), DAY_US)
    if pa.types.is_date64(kind):
        return _read_ticks(column, "ms")
    if not accepts_type(kind, timestamp_format):
        raise TypeError(f"a column of {kind} holds no timestamps")
    return _read_text(column.cast(pa.string()), _ISO if timestamp_format is None else compile_format(timestamp_format))


def accepts_type(kind: pa.DataType, timestamp_format: str | None) -> bool:
    """Whether `read_instants` can read a column of this type."""
    if pa.types.is_dictionary(kind):
        return accepts_type(kind.value_type, timestamp_format)
    if pa.types.is_integer(kind):
        return timestamp_format is not None
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind) or is_text(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds text (old Parquet writers leave text columns marked as binary)."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def compile_format(timestamp_format: str) -> str:
    """The regular expression of a strptime format; Arrow's own strptime is not used, since it turns 30 February into 2 March.

    raises : InvalidArgumentError naming the directive, or the part of a date that the format lacks
    """
    text = timestamp_format
    for short, long in _COMPOSITES.items():
        text = text.replace(short, long)
    pattern = ""
    seen = set()
    for literal, directive in re.findall(r"([^%]+)|%(.?)", text):
        if literal:
            pattern += r"\s+".join(re.escape(word) for word in re.split(r"\s+", literal))
            continue
        if directive not in _DIRECTIVES or (directive in seen and directive not in "%aA"):
            raise InvalidArgumentError(
                "timestamp_format",
                f"found %{directive} in {timestamp_format!r}, expected each at most once of "
                + " ".join(f"%{name}" for name in (*_DIRECTIVES, "F", "T", "R", "D")),
            )
        seen.add(directive)
        pattern += _DIRECTIVES[directive]
    has_date = bool(seen & {"Y", "y"}) and bool(seen & {"m", "b", "B"}) and "d" in seen
    if not (has_date or "s" in seen):
        raise InvalidArgumentError(
            "timestamp_format", f"found {timestamp_format!r}, expected a year, a month and a day in it, such as %d/%m/%Y %H:%M"
        )
    try:
        re.compile(pattern)
    except re.error:
        raise InvalidArgumentError(
            "timestamp_format", f"found {timestamp_format!r}, expected each part of the time only once"
        ) from None
    return rf"^\s*{pattern}\s*$"


def _read_ticks(column: pa.Array, unit: str) -> Instants:
    ticks = column.cast(pa.int64())
    if unit == "ns":
        microseconds = np.asarray(pc.fill_null(ticks, 0)) // 1000  # floored; Arrow's own cast would go towards 1970
        return _believe(microseconds, ~_nulls(ticks), _nulls(ticks))
    return _scale_ticks(ticks, _TICKS_US[unit])


def _scale_ticks(ticks: pa.Array, tick_us: int) -> Instants:
    is_missing = _nulls(ticks)
    values = np.asarray(pc.fill_null(ticks, 0)).astype(np.int64)
    # Clipped before the multiplication, so that a year 292,000 cannot wrap around into the present.
    in_reach = (values >= EARLIEST_US // tick_us) & (values <= LATEST_US // tick_us)
    return _believe(np.where(in_reach, values, 0) * tick_us, in_reach & ~is_missing, is_missing)


def _believe(timestamp_us: NDArray[np.int64], is_readable: NDArray[np.bool_], is_missing: NDArray[np.bool_]) -> Instants:
    is_readable = is_readable & (timestamp_us >= EARLIEST_US) & (timestamp_us < LATEST_US)
    return Instants(timestamp_us=np.where(is_readable, timestamp_us, 0), is_missing=is_missing, is_readable=is_readable)


def _read_text(column: pa.Array, pattern: str) -> Instants:
    # Lines of one order share their timestamp, so that the distinct texts are several times fewer than the rows.
    encoded = column.dictionary_encode(null_encoding="encode")
    distinct = _read_distinct(encoded.dictionary, pattern)
    code = np.asarray(encoded.indices)
    return Instants(
        timestamp_us=distinct.timestamp_us[code], is_missing=distinct.is_missing[code], is_readable=distinct.is_readable[code]
    )


def _read_distinct(texts: pa.Array, pattern: str) -> Instants:
    is_missing = np.asarray(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True), dtype=bool)
    fields = pc.extract_regex(texts, pattern=pattern)
    matched = ~_nulls(fields)
    names = {field.name for field in fields.type}

    def number(name: str, default: int) -> NDArray[np.int64]:
        if name not in names:
            return np.full(len(texts), default, np.int64)
        digits = pc.struct_field(fields, name)
        digits = pc.if_else(pc.fill_null(pc.equal(digits, ""), True), str(default), digits)
        return np.asarray(digits.cast(pa.int64()))

    def word(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(fields, name), "") if name in names else pa.repeat("", len(texts))

    if "epoch" in names:
        return _believe(number("epoch", 0) * _SECOND_US, matched, is_missing)
    year = number("year", 1970)
    if "short_year" in names:  # POSIX: 69 and later are of the last century
        short_year = number("short_year", 70)
        year = np.where(short_year >= 69, 1900, 2000) + short_year
    month = number("month", 1)
    if "month_name" in names:
        month = 1 + np.asarray(
            pc.fill_null(pc.index_in(pc.utf8_lower(word("month_name")), value_set=pa.array(_MONTHS)), -1), dtype=np.int64
        )
    day, hour, minute, second = number("day", 1), number("hour", 0), number("minute", 0), number("second", 0)
    matched &= (month >= 1) & (month <= 12) & (minute < 60) & (second < 60)
    if "half" in names:
        matched &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + 12 * np.asarray(pc.equal(pc.utf8_lower(word("half")), "pm"), dtype=np.int64)
    matched &= hour < 24
    month_index = (np.where(matched, year, 1970) - 1970) * 12 + np.where(matched, month, 1) - 1
    first_day, next_first_day = (
        (month_index + ahead).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for ahead in (0, 1)
    )
    matched &= (day >= 1) & (day <= next_first_day - first_day)
    microseconds = pc.utf8_slice_codeunits(pc.utf8_rpad(word("fraction"), 6, "0"), 0, 6).cast(pa.int64())
    zone_us, zone_is_possible = _zone_offsets(word("zone"))
    timestamp_us = (
        (first_day + day - 1) * DAY_US
        + hour * HOUR_US
        + minute * _MINUTE_US
        + second * _SECOND_US
        + np.asarray(microseconds)
        - zone_us
    )
    return _believe(timestamp_us, matched & zone_is_possible, is_missing)


def _zone_offsets(zones: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds east of UTC of "", Z, UTC, +02, +0200 and +02:00, and whether there is such a zone."""
    encoded = zones.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    offset_us = np.zeros(len(distinct), np.int64)
    is_possible = np.ones(len(distinct), bool)
    for index, zone in enumerate(distinct):
        if zone[:1] in ("+", "-"):
            digits = zone[1:].replace(":", "").ljust(4, "0")
            hours, minutes = int(digits[:2]), int(digits[2:])
            is_possible[index] = hours < 24 and minutes < 60
            offset_us[index] = (1 if zone[0] == "+" else -1) * (hours * HOUR_US + minutes * _MINUTE_US)
    code = np.asarray(encoded.indices)
    return offset_us[code], is_possible[code]


def _nulls(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.is_null(), dtype=bool)
