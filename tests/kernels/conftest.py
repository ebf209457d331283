"""Ragged events and queries on them, drawn by shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import locate_instants

HOUR_US = 3_600_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Events of some customers and queries on them; every array is read-only, as a memory map is."""

    timestamp_us: NDArray[np.int64]
    selected: NDArray[np.bool_]
    amounts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    customer_index: NDArray[np.int64]
    as_of_us: NDArray[np.int64]

    @property
    def begin(self) -> NDArray[np.int64]:
        return self.offsets[self.customer_index]

    @property
    def end(self) -> NDArray[np.int64]:
        return locate_instants(self.timestamp_us, self.offsets, self.customer_index, self.as_of_us)


def read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    array.flags.writeable = False
    return array


@st.composite
def drawn_events(draw: st.DrawFn) -> Drawn:
    """Few customers, some without events; times on a coarse grid, so that ties and instants on an event are common."""
    lengths = draw(st.lists(st.integers(0, 8), max_size=5))
    num_queries = draw(st.integers(0, 6)) if lengths else 0
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grid_us = draw(st.sampled_from([HOUR_US, 24 * HOUR_US, 7_777_777_777]))
    num_events = sum(lengths)
    times = [np.sort(random.integers(0, 30, length)) * grid_us for length in lengths]
    return Drawn(
        timestamp_us=read_only(np.concatenate([*times, np.zeros(0, np.int64)]).astype(np.int64)),
        selected=read_only(random.random(num_events) < draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))),
        amounts=read_only(random.integers(-(10**15), 10**15, num_events)),
        offsets=read_only(np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))),
        customer_index=read_only(random.integers(0, max(len(lengths), 1), num_queries)),
        as_of_us=read_only(random.integers(-1, 32, num_queries) * grid_us),
    )
