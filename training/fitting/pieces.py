"""Cutting sequences that are longer than the context into pieces that training sees one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """Stretches of sequences, each with the rows whose states it answers for.

    Customers of more events than the context are cut. A piece after the first begins with half a context of events or more that
    only warm the state up, so that training sees about the lengths that inference does.

    begin, own, end : int64[num_pieces]  the piece is the rows [begin, end), it answers for [own, end)
    """

    begin: NDArray[np.int64]
    own: NDArray[np.int64]
    end: NDArray[np.int64]


def cut_pieces(offsets: NDArray[np.int64], context: int) -> Pieces:
    """Pieces of at most `context` events of customers who own [offsets[i], offsets[i + 1]), each with an event at least."""
    stride = context // 2
    lengths = np.diff(offsets)
    # The first piece owns a whole context, each later one half of it.
    num_pieces = 1 + np.maximum(0, -(-(lengths - context) // stride))
    customer = np.repeat(np.arange(len(lengths)), num_pieces)
    number = np.arange(len(customer)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    first_row, stop_row = offsets[customer], offsets[customer + 1]
    own = first_row + np.where(number == 0, 0, context + (number - 1) * stride)
    end = np.minimum(first_row + context + number * stride, stop_row)
    return Pieces(begin=np.maximum(end - context, first_row), own=own, end=end)
