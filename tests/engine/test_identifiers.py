"""Ids of every type come to the same text."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from engine.sources.identifiers import accepts_type, are_integer_texts, read_identifiers
from engine.sources.plain import plain


@pytest.mark.parametrize(
    ("column", "is_integer"),
    [
        (pa.array([17850, None], pa.int64()), True),
        (pa.array([17850, None], pa.uint16()), True),
        (pa.array([17850.0, np.nan]), True),
        (pa.array([17850.0, None], pa.float32()), True),
        (pa.array([Decimal(17850), None], pa.decimal128(38, 0)), True),
        (pa.array([Decimal("17850.00"), None], pa.decimal128(20, 2)), True),
        (pa.array(["17850", None]), False),
        (pa.array(["17850", "  "], pa.large_string()), False),
        (pa.array(["17850", ""], pa.string_view()), False),
        (pa.array([b"17850", None], pa.binary()), False),
        (pa.array(["17850", None]).dictionary_encode(), False),
        (pa.array([17850, None]).dictionary_encode(), True),
    ],
)
def test_every_type_gives_the_same_text(column: pa.Array, is_integer: bool) -> None:
    identifiers = read_identifiers(plain(column), is_untyped=False)
    assert identifiers.texts.to_pylist() == ["17850", None]
    assert identifiers.texts.type == pa.string()
    assert identifiers.is_integer == is_integer
    assert not identifiers.is_unreadable.any()


def test_numbers_that_are_not_whole_are_no_ids() -> None:
    identifiers = read_identifiers(pa.array([1.5, np.inf, 1e300, -2.0]), is_untyped=False)
    assert identifiers.is_unreadable.tolist() == [True, True, True, False]
    assert identifiers.texts.to_pylist() == [None, None, None, "-2"]


def test_untyped_text_is_trimmed_and_pandas_floats_are_integers_again() -> None:
    column = pa.array([" 17850.0 ", "17850", "A-1.0", "1.05", "", None])
    assert read_identifiers(column, is_untyped=True).texts.to_pylist() == ["17850", "17850", "A-1.0", "1.05", None, None]
    assert read_identifiers(column, is_untyped=False).texts.to_pylist() == [" 17850.0 ", "17850", "A-1.0", "1.05", None, None]


def test_integer_texts_are_those_that_survive_being_read_as_integers() -> None:
    assert are_integer_texts(pa.array(["0", "-5", "17850"]))
    for text in ("007", "1.0", "-0", "A", "9" * 19, ""):
        assert not are_integer_texts(pa.array(["1", text]))


@pytest.mark.parametrize(
    ("column", "is_integer"),
    [
        (pa.array([2**63 - 1, None], pa.uint64()), True),
        (pa.array([2**63, None], pa.uint64()), False),  # such as a hash
        (pa.array([None, None], pa.uint64()), True),
        (pa.array([-(2**63), 2**63 - 1], pa.int64()), True),
        (pa.array([Decimal(10**18 - 1), None], pa.decimal128(38, 0)), True),
        (pa.array([Decimal(10**20), None], pa.decimal128(38, 0)), False),
    ],
)
def test_ids_that_no_int64_holds_are_texts(column: pa.Array, is_integer: bool) -> None:
    identifiers = read_identifiers(column, is_untyped=False)
    assert identifiers.texts.to_pylist() == [None if value is None else str(value) for value in column.to_pylist()]
    assert identifiers.is_integer == is_integer


def test_types_that_are_no_ids() -> None:
    for kind in (pa.timestamp("us"), pa.list_(pa.int64()), pa.struct([("a", pa.int64())])):
        assert not accepts_type(kind)
