"""Events while they are being built."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.history.events import exact_sum


@settings(deadline=None)
@given(values=st.lists(st.integers(-(2**62), 2**62), max_size=50))
def test_sums_cannot_overflow(values: list[int]) -> None:
    assert exact_sum(np.array(values, np.int64)) == sum(values)
