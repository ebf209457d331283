"""States: what the GRU remembers of a customer after an event. Final once computed, so that a later pass may begin from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.partition import Partition
from kernels import roll_states
from training.inference.device import roll_on_device
from training.inference.fitted import FittedModel
from training.network.tokens import event_tokens
from training.threads import share

# Events whose tokens stay in a core's second-level cache between the loop that writes them and the one that reads them.
_CHUNK_EVENTS = 8192
# Below so many sequences, those at a chunk's end that the kernel cannot put into full tiles would show.
_LEAST_SEQUENCES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """First events of customers that a partition lacks.

    num_events : int64[n], of each; where it is not 0, the event before the first one that is read is there
    first_us   : int64[n], time of each customer's very first event
    """

    num_events: NDArray[np.int64]
    first_us: NDArray[np.int64]


def encode_states(
    model: FittedModel,
    partition: Partition,
    customer_index: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    *,
    initial: NDArray[np.float32] | None = None,
    before: Before | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """State of each customer after the events [begin, end), which are rows of the partition.

    customer_index, begin, end : int64[n]; rows of that customer, begin <= end
    initial : float32[n, state_size], the states after the events before begin; None: zeros, for those who begin at their first
    before  : what the partition lacks of each customer's first events; None: nothing
    device  : "cpu" or "cuda"
    returns : float32[n, state_size]; where begin == end the initial state
    raises  : RuntimeError as torch does where the device fails; out of memory only with a single customer

    A customer's row does not depend on what else is asked: on the CPU not in a bit, elsewhere up to the rounding of matrix
    products of other shapes (1e-6).
    """
    states = np.zeros((len(begin), model.state_size), np.float32) if initial is None else initial.astype(np.float32)
    lengths = end - begin
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    first_row = partition.offsets[customer_index]
    if before is None:
        has_events = np.flatnonzero(lengths)
        first_us = np.zeros(len(begin), np.int64)
        first_us[has_events] = partition.timestamp_us[first_row[has_events]]
        before = Before(num_events=np.zeros(len(begin), np.int64), first_us=first_us)
    number_0 = first_row - before.num_events  # where the first event would lie

    def normalised_tokens(chosen: NDArray[np.int64], start: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of the events [start, start + sizes) of the chosen, end to end."""
        row = np.repeat(start - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        index = row - np.repeat(number_0[chosen], sizes)
        return model.token_normaliser.apply(event_tokens(partition, row, index, np.repeat(before.first_us[chosen], sizes)))

    if device != "cpu":
        roll_on_device(model, normalised_tokens, order, begin, lengths, states, device=device)
        return states
    weights = model.gru_weights

    def roll(chosen: NDArray[np.int64]) -> None:
        start, left = begin[chosen], lengths[chosen]
        # A history of any length takes the memory of a chunk: it is rolled in pieces.
        most = int(left[0]) if left.sum() <= _CHUNK_EVENTS else max(1, _CHUNK_EVENTS // len(chosen))
        while len(chosen):
            sizes = np.minimum(left, most)
            stop = np.cumsum(sizes)
            states[chosen] = roll_states(normalised_tokens(chosen, start, sizes), stop - sizes, stop, states[chosen], *weights)
            more = left > most
            chosen, start, left = chosen[more], start[more] + most, left[more] - most

    share(roll, _chunks(order, lengths[order]))
    return states


def _chunks(order: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Sequences by falling length, as many at a time as have _CHUNK_EVENTS together, and _LEAST_SEQUENCES at the least."""
    events = np.cumsum(lengths)
    start = 0
    while start < len(order):
        before = events[start] - lengths[start]
        stop = max(int(np.searchsorted(events, before + _CHUNK_EVENTS, side="right")), start + _LEAST_SEQUENCES)
        yield order[start:stop]
        start = stop
