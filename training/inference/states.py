"""States: what the GRU remembers of a customer after an event. Final once computed, so that a later pass may begin from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from engine.partition import Partition
from kernels import gather_sequences
from training.inference.fitted import FittedModel
from training.threads import one_torch_thread
from training.tokens import event_tokens

# Sequences per forward pass: enough to fill a matrix product, few enough that padding stays small after sorting by length.
_BATCH_SEQUENCES = 512
# Events per forward pass, padding included: a customer of years of daily orders must not take a batch's memory along.
_BATCH_EVENTS = 1 << 17


def encode_states(
    model: FittedModel,
    partition: Partition,
    customer_index: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    *,
    initial: NDArray[np.float32] | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """State of each customer after the events [begin, end), which are rows of the partition.

    customer_index, begin, end : int64[n]; rows of that customer, begin <= end
    initial : float32[n, state_size], the states after the events before begin; None: zeros, for those who begin at their first
    device  : "cpu" or "cuda"
    returns : float32[n, state_size]; where begin == end the initial state
    raises  : RuntimeError as torch does where the device fails

    A customer's row does not depend on what else is asked, up to the rounding of matrix products of other shapes (1e-6).
    """
    states = np.zeros((len(begin), model.state_size), np.float32) if initial is None else initial.astype(np.float32)
    lengths = end - begin
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    first_row = partition.offsets[customer_index]
    network = model.network_on(device)
    with one_torch_thread(), torch.inference_mode(), exact_products(device):
        for chosen in _batches(order, lengths):
            tokens, sizes = _sequences(model, partition, first_row[chosen], begin[chosen], lengths[chosen])
            started = torch.from_numpy(states[chosen]).to(device)
            after = network.encode_last(torch.from_numpy(tokens).to(device), torch.from_numpy(sizes).to(device), started)
            states[chosen] = after.cpu().numpy()
    return states


def exact_products(device: str) -> AbstractContextManager[None]:
    """cuDNN would round the GRU's products to TF32, 1e-3 away from the CPU's scores."""
    return nullcontext() if device == "cpu" else torch.backends.cudnn.flags(allow_tf32=False)


def _batches(order: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Sequences by falling length, as many at a time as fit the limits; at least one."""
    start = 0
    while start < len(order):
        stop = start + max(1, min(_BATCH_SEQUENCES, _BATCH_EVENTS // int(lengths[order[start]])))
        yield order[start:stop]
        start = stop


def _sequences(
    model: FittedModel,
    partition: Partition,
    first_row: NDArray[np.int64],
    begin: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Normalised tokens of the events: float32 (B, T, F), right-padded, and int64 (B,) lengths."""
    stop = np.cumsum(lengths)
    row = np.repeat(begin - stop + lengths, lengths) + np.arange(stop[-1])
    tokens = model.token_normaliser.apply(event_tokens(partition, row, np.repeat(first_row, lengths)))
    padded, sizes = gather_sequences(tokens, stop - lengths, stop, int(lengths.max()))
    return padded, sizes.astype(np.int64)
