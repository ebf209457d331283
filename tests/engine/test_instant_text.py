"""Timestamp columns, against Python's own datetime."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidArgumentError
from engine.sources.instant_text import EARLIEST_US, LATEST_US, accepts_type, compile_format, read_instants
from engine.sources.plain import plain

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2261, 12, 30))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def to_us(moment: datetime) -> int:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)


def read_one(text: str | None, timestamp_format: str | None = None) -> int | None:
    instants = read_instants(pa.array([text], pa.string()), timestamp_format)
    return int(instants.timestamp_us[0]) if instants.is_readable[0] else None


@settings(deadline=None)
@given(moments=st.lists(st.one_of(MOMENTS, MOMENTS.flatmap(lambda moment: ZONES.map(moment.astimezone))), max_size=20))
def test_iso_text_reads_as_python_reads_it(moments: list[datetime]) -> None:
    for separator in " T":
        texts = pa.array([moment.isoformat(separator) for moment in moments], pa.string())
        instants = read_instants(texts)
        assert instants.is_readable.all()
        assert instants.timestamp_us.tolist() == [to_us(moment) for moment in moments]


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2017-12-02", "2017-12-02T00:00:00"),
        (" 2017-12-02 08:30 ", "2017-12-02T08:30:00"),
        ("2017-12-02T08:30:15Z", "2017-12-02T08:30:15"),
        ("2017-12-02 08:30:15 UTC", "2017-12-02T08:30:15"),
        ("2017-12-02 08:30:15.5", "2017-12-02T08:30:15.500000"),
        ("2017-12-02 08:30:15.123456789", "2017-12-02T08:30:15.123456"),
        ("2017-12-02 08:30:15,25", "2017-12-02T08:30:15.250000"),
        ("2017-12-02T08:30:15+02", "2017-12-02T06:30:15"),
        ("2017-12-02T00:30:15-0530", "2017-12-02T06:00:15"),
        ("2016-02-29", "2016-02-29T00:00:00"),
    ],
)
def test_the_usual_ways_to_write_a_time(text: str, iso: str) -> None:
    assert read_one(text) == to_us(datetime.fromisoformat(iso))


@pytest.mark.parametrize(
    "text",
    [
        *("2011-02-30", "2017-02-29", "2017-13-01", "2017-00-10", "2017-01-00", "2017-01-01 24:00", "2017-01-01 10:60"),
        *("2017-01-01 10:00:60", "2017-01-01T10:00:00+25:00", "2017-01-01T10:00:00+02:60", "2/12/2017", "yesterday", "20171202"),
        *("1899-12-31", "2262-01-01", "9999-12-31", "0000-01-01", "2017-12-02 08:30 and more"),
    ],
)
def test_what_is_no_time_of_1900_to_2261_is_unreadable(text: str) -> None:
    assert read_one(text) is None


def test_blank_and_null_are_missing_and_not_unreadable() -> None:
    instants = read_instants(pa.array([None, "", "  ", "x"]))
    assert instants.is_missing.tolist() == [True, True, True, False]
    assert not instants.is_readable.any()


@pytest.mark.parametrize(
    ("timestamp_format", "text", "iso"),
    [
        ("%d/%m/%Y %H:%M", "2/12/2017 8:30", "2017-12-02T08:30:00"),
        ("%m/%d/%y %I:%M %p", "12/02/17 08:30 pm", "2017-12-02T20:30:00"),
        ("%m/%d/%y %I:%M %p", "12/02/17 12:05 AM", "2017-12-02T00:05:00"),
        ("%d-%b-%Y", "02-DEC-2017", "2017-12-02T00:00:00"),
        ("%B %d, %Y", "December 2, 2017", "2017-12-02T00:00:00"),
        ("%a %d %b %Y %T", "Sat 02 Dec 2017 08:30:15", "2017-12-02T08:30:15"),
        ("%Y%m%d", "20171202", "2017-12-02T00:00:00"),
        ("%Y%m%d%H%M%S", "20171202083015", "2017-12-02T08:30:15"),
        ("%FT%T.%f%z", "2017-12-02T08:30:15.5+01:00", "2017-12-02T07:30:15.500000"),
        ("%s", "1512203415", "2017-12-02T08:30:15"),
        ("%d.%m.%Y", "02.12.2017", "2017-12-02T00:00:00"),
    ],
)
def test_a_format_is_read_as_strptime_does(timestamp_format: str, text: str, iso: str) -> None:
    assert read_one(text, timestamp_format) == to_us(datetime.fromisoformat(iso))


@pytest.mark.parametrize(
    ("timestamp_format", "text"),
    [("%d/%m/%Y", "30/02/2011"), ("%d.%m.%Y", "02-12-2017"), ("%d-%b-%Y", "02-Dez-2017"), ("%F %I %p", "2017-12-02 13 pm")],
)
def test_a_format_does_not_roll_over_or_guess(timestamp_format: str, text: str) -> None:
    assert read_one(text, timestamp_format) is None


@pytest.mark.parametrize("timestamp_format", ["%q", "%d/%m", "%", "", "%Y-%Y-%m-%d", "%Y-%m-%d %H %I", "date"])
def test_a_format_that_cannot_work_is_refused(timestamp_format: str) -> None:
    with pytest.raises(InvalidArgumentError, match="timestamp_format: found"):
        compile_format(timestamp_format)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_typed_timestamps_of_every_unit_and_zone(unit: str, zone: str | None) -> None:
    moments = [datetime(2017, 12, 2, 8, 30, 15, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), None]
    column = pa.array([moment and int(moment.timestamp()) for moment in moments], pa.int64())
    column = column.cast(pa.timestamp("s")).cast(pa.timestamp(unit)).cast(pa.int64()).cast(pa.timestamp(unit, zone))
    for encoded in (column, column.dictionary_encode()):
        instants = read_instants(plain(encoded))
        assert instants.timestamp_us.tolist() == [to_us(moments[0]), to_us(moments[1]), 0]
        assert instants.is_missing.tolist() == [False, False, True]
        assert instants.is_readable.tolist() == [True, True, False]


def test_nanoseconds_before_1970_are_floored() -> None:
    assert read_instants(pa.array([-1, -1000, -1001], pa.timestamp("ns"))).timestamp_us.tolist() == [-1, -1, -2]


def test_dates_are_their_midnight() -> None:
    day = date(2017, 12, 2)
    for kind in (pa.date32(), pa.date64()):
        assert read_instants(pa.array([day], kind)).timestamp_us.tolist() == [to_us(datetime(2017, 12, 2))]


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us")])
def test_typed_times_beyond_belief_are_unreadable_and_do_not_wrap(kind: pa.DataType) -> None:
    limits = np.iinfo(np.int64)
    instants = read_instants(pa.array([limits.max, limits.min, 0], pa.int64()).cast(kind))
    assert instants.is_readable.tolist() == [False, False, True]


def test_the_believed_span() -> None:
    assert to_us(datetime(1900, 1, 1)) == EARLIEST_US
    assert to_us(datetime(2262, 1, 1)) == LATEST_US
    edges = pa.array([EARLIEST_US - 1, EARLIEST_US, LATEST_US - 1, LATEST_US], pa.timestamp("us"))
    assert read_instants(edges).is_readable.tolist() == [False, True, True, False]


def test_integers_are_times_only_under_a_format() -> None:
    assert not accepts_type(pa.int64(), None)
    assert accepts_type(pa.int64(), "%Y%m%d")
    assert read_instants(pa.array([20171202]), "%Y%m%d").timestamp_us.tolist() == [to_us(datetime(2017, 12, 2))]
    for kind in (pa.bool_(), pa.float64(), pa.list_(pa.string()), pa.time64("us")):
        assert not accepts_type(kind, "%Y")
        with pytest.raises(TypeError, match="holds no timestamps"):
            read_instants(pa.nulls(1, kind))
