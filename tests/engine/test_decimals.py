"""Numbers as fixed-scale integers, against Python's decimal."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.decimals import LARGEST, read_flags, read_numbers, round_half_away
from engine.sources.plain import plain

DECIMALS = st.decimals(-LARGEST, LARGEST, allow_nan=False, allow_infinity=False, places=8)


def to_units(value: Decimal, num_digits: int = 4) -> int:
    return int(value.scaleb(num_digits).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@settings(deadline=None)
@given(values=st.lists(DECIMALS, min_size=1, max_size=20), num_digits=st.sampled_from([0, 2, 3, 4]))
def test_text_and_decimals_are_exact_to_the_last_digit(values: list[Decimal], num_digits: int) -> None:
    expected = [to_units(value, num_digits) for value in values]
    for column in (pa.array([f"{value:f}" for value in values]), pa.array(values, pa.decimal128(30, 8))):
        numbers = read_numbers(column, num_digits)
        assert numbers.units.tolist() == expected
        assert not (numbers.is_missing | numbers.is_infinite | numbers.is_unreadable | numbers.is_too_large).any()


@settings(deadline=None)
@given(cents=st.lists(st.integers(-LARGEST * 100, LARGEST * 100), min_size=1, max_size=20))
def test_whole_cents_survive_as_floats_integers_and_text(cents: list[int]) -> None:
    expected = [value * 100 for value in cents]
    assert read_numbers(pa.array([value / 100 for value in cents]), 4).units.tolist() == expected
    assert read_numbers(pa.array([f"{Decimal(value).scaleb(-2):f}" for value in cents]), 4).units.tolist() == expected
    whole = [value // 100 for value in cents]
    assert read_numbers(pa.array(whole, pa.int64()), 4).units.tolist() == [value * 10_000 for value in whole]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()])
def test_integers_of_every_width(kind: pa.DataType) -> None:
    numbers = read_numbers(pa.array([0, 7, None, 127], kind), 4)
    assert numbers.units.tolist() == [0, 70_000, 0, 1_270_000]
    assert numbers.is_missing.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [LARGEST, LARGEST + 1, -LARGEST - 1]),
        (pa.uint64(), [LARGEST, 2**64 - 1, LARGEST + 1]),
        (pa.float64(), [float(LARGEST), 1e300, -9.1e12]),
        (pa.string(), [str(LARGEST), "9" * 30, "-9000000000000.01"]),
        (pa.decimal128(38, 2), [Decimal(LARGEST), Decimal(10) ** 30, -Decimal(LARGEST) - 1]),
    ],
)
def test_beyond_the_limit_is_too_large_and_never_wraps(kind: pa.DataType, values: list[object]) -> None:
    numbers = read_numbers(pa.array(values, kind), 4)
    assert numbers.is_too_large.tolist() == [False, True, True]
    assert numbers.units.tolist() == [LARGEST * 10_000, 0, 0]


def test_float32_means_the_short_number() -> None:
    assert read_numbers(pa.array([1234.56, 0.1, None], pa.float32()), 4).units.tolist() == [12_345_600, 1000, 0]


def test_what_text_may_look_like() -> None:
    texts = ["12.34", " -0.5 ", "+.25", "7.", "1e3", "2.5E-2", "007", "-0.00005", "0.00004999999999999999"]
    numbers = read_numbers(pa.array(texts), 4)
    assert numbers.units.tolist() == [123_400, -5000, 2500, 70_000, 10_000_000, 250, 70_000, -1, 0]
    assert not numbers.is_unreadable.any()
    assert read_numbers(plain(pa.array(texts).dictionary_encode()), 4).units.tolist() == numbers.units.tolist()


def test_what_text_may_not_look_like() -> None:
    unreadable = ["1,234.50", "12,34", "$5", "--1", ".", "-", "1.2.3", "1e", "five", "0x10", "1_000"]
    numbers = read_numbers(pa.array(unreadable), 4)
    assert numbers.is_unreadable.all()
    assert not numbers.units.any()
    special = read_numbers(pa.array(["NaN", "inf", "-Infinity", "1e400", None, "", " "]), 4)
    assert special.is_infinite.tolist() == [True, True, True, True, False, False, False]
    assert special.is_missing.tolist() == [False, False, False, False, True, True, True]
    assert not special.is_unreadable.any()


def test_nan_and_infinity_of_floats() -> None:
    numbers = read_numbers(pa.array([np.nan, np.inf, -np.inf, None, 1.0]), 4)
    assert numbers.is_infinite.tolist() == [True, True, True, False, False]
    assert numbers.is_missing.tolist() == [False, False, False, True, False]


def test_a_type_that_holds_no_numbers() -> None:
    with pytest.raises(TypeError, match="holds no numbers"):
        read_numbers(pa.array([True]), 4)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([True, False, None]),
        pa.array([1, 0, None]),
        pa.array([1.0, 0.0, None]),
        pa.array(["Yes", "no", ""]),
        plain(pa.array([" TRUE ", "f", None]).dictionary_encode()),
        pa.array(["1", "0", "  "]),
    ],
)
def test_flags_of_every_kind(column: pa.Array) -> None:
    value, is_unreadable = read_flags(column)
    assert value.tolist() == [True, False, False]
    assert not is_unreadable.any()


def test_flags_that_say_neither() -> None:
    assert read_flags(pa.array(["maybe", "2", "true"]))[1].tolist() == [True, True, False]


@settings(deadline=None)
@given(values=st.lists(st.integers(-(10**15), 10**15), max_size=50))
def test_halves_go_away_from_zero(values: list[int]) -> None:
    rounded = round_half_away(np.array(values, np.int64), 100).tolist()
    assert rounded == [to_units(Decimal(value), -2) for value in values]
