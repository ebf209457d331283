"""Fingerprints: those of the plain arithmetic, of a prefix on the way, and another one for every change that a token reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import backend_names, fingerprint_events
from tests import reference
from tests.kernels.conftest import Drawn, drawn_events, read_only

every_backend = pytest.mark.parametrize("backend", backend_names())

_NUM_CODES = 2  # the last columns


def draw_columns(timestamp_us: NDArray[np.int64], seed: int) -> list[NDArray[np.generic]]:
    """The columns that tokens read, extremes among them."""
    random = np.random.default_rng(seed)
    shape = timestamp_us.shape
    columns = [
        timestamp_us,
        random.integers(0, 7, shape).astype(np.uint8),
        *(random.choice(np.array([-(2**63), -1, 0, 5, 2**63 - 1]), shape) for _ in range(3)),
        *(random.integers(0, 2**31, shape).astype(np.int32) for _ in range(3)),
        random.integers(-1, 5000, shape).astype(np.int32),
        *(random.integers(-1, 3, shape).astype(np.int32) for _ in range(_NUM_CODES)),
    ]
    return [read_only(column) for column in columns]


@every_backend
@given(drawn=drawn_events(), seed=st.integers(0, 99))
def test_a_fingerprint_is_that_of_the_plain_arithmetic_at_both_ends(drawn: Drawn, seed: int, backend: str) -> None:
    columns = draw_columns(drawn.timestamp_us, seed)
    end = drawn.offsets[drawn.customer_index + 1] if len(drawn.customer_index) else drawn.end
    found = fingerprint_events(*columns, drawn.begin, drawn.end, end, backend=backend)
    assert (found.dtype, found.shape) == (np.uint64, (len(end), 2))
    events = list(zip(*(column.tolist() for column in columns), strict=True))
    for query, (begin, covered, stop) in enumerate(zip(drawn.begin, drawn.end, end, strict=True)):
        assert found[query].tolist() == [reference.fingerprint(events[begin:covered]), reference.fingerprint(events[begin:stop])]


@every_backend
@given(seed=st.integers(0, 99), column=st.integers(0, 10), row=st.integers(0, 5))
def test_every_change_that_a_token_reads_changes_the_fingerprint(seed: int, column: int, row: int, backend: str) -> None:
    columns = draw_columns(np.arange(6, dtype=np.int64) * 10**9, seed)
    query = [np.array([number], np.int64) for number in (0, 6, 6)]
    before = fingerprint_events(*columns, *query, backend=backend)[0, 1]
    changed = columns[column].copy()
    changed[row] ^= changed.dtype.type(1)
    is_code = column >= len(columns) - _NUM_CODES
    steps = [np.diff(codes) != 0 for codes in (columns[column], changed)]
    is_told = not is_code or (steps[0] != steps[1]).any()
    after = fingerprint_events(*(changed if at == column else one for at, one in enumerate(columns)), *query, backend=backend)
    assert (after[0, 1] != before) == is_told


@every_backend
def test_codes_may_be_numbered_anew(backend: str) -> None:
    columns = draw_columns(np.arange(6, dtype=np.int64) * 10**9, 3)
    query = [np.array([number], np.int64) for number in (0, 4, 6)]
    renumbered = [*columns[:-_NUM_CODES], *(np.array([7, 4, 9, 0], np.int32)[codes + 1] for codes in columns[-_NUM_CODES:])]
    np.testing.assert_array_equal(
        fingerprint_events(*columns, *query, backend=backend), fingerprint_events(*renumbered, *query, backend=backend)
    )


def test_rows_that_end_before_what_is_covered_are_refused() -> None:
    columns = draw_columns(np.arange(6, dtype=np.int64), 0)
    with pytest.raises(ValueError, match="covered, end"):
        fingerprint_events(*columns, np.array([0]), np.array([5]), np.array([4]))
