"""Long sequences are cut so that every event is answered for once, with context enough before it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.fitting.pieces import cut_pieces


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=8), context=st.sampled_from([8, 9, 16]))
def test_every_event_is_answered_for_once(lengths: list[int], context: int) -> None:
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    pieces = cut_pieces(offsets, context)
    first_of_customer = np.repeat(offsets[:-1], lengths)
    owned = np.concatenate([np.arange(own, end) for own, end in zip(pieces.own, pieces.end, strict=True)])
    assert owned.tolist() == list(range(offsets[-1]))
    for begin, own, end in zip(pieces.begin, pieces.own, pieces.end, strict=True):
        assert first_of_customer[begin] == first_of_customer[end - 1]
        assert end - begin <= context
        # Half a context at least comes before, or all that there is.
        assert own - begin >= min(context // 2, own - first_of_customer[own])
