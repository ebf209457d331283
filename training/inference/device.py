"""The forward path on a GPU: torch's own unit and layers, batches that are halved where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels import gather_sequences
from training.inference.fitted import FittedModel
from training.threads import one_torch_thread

# Sequences per forward pass: enough to fill a GPU, few enough that padding stays small after sorting by length.
_BATCH_SEQUENCES = 8192
# Events per forward pass, padding included: a customer of years of daily orders must not take a batch's memory along.
_BATCH_EVENTS = 1 << 20

# (chosen, first row, length) to float32[sum of lengths, F], end to end
Tokens = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]


def roll_on_device(
    model: FittedModel,
    tokens_of: Tokens,
    order: NDArray[np.int64],
    begin: NDArray[np.int64],
    lengths: NDArray[np.int64],
    states: NDArray[np.float32],
    *,
    device: str,
) -> None:
    """Roll the states of those in `order`, by falling length, each with an event at least; the others stay.

    raises : RuntimeError as torch does where the device fails, out of memory only with a single customer

    The device works on a batch while the host makes the tokens of the next one.
    """
    network = model.network_on(device)
    under_way: list[tuple[NDArray[np.int64], Tensor]] = []

    def land() -> None:
        while under_way:
            chosen, after = under_way.pop()
            states[chosen] = after.cpu().numpy()

    def launch(chosen: NDArray[np.int64]) -> None:
        sizes = lengths[chosen]
        stop = np.cumsum(sizes)
        tokens = tokens_of(chosen, begin[chosen], sizes)
        padded, _ = gather_sequences(tokens, stop - sizes, stop, int(sizes.max()))
        inputs = [send(array, device) for array in (padded, sizes, states[chosen])]
        after = network.encode_last(*inputs)
        land()
        under_way.append((chosen, after))

    with one_torch_thread(), torch.inference_mode(), exact_products(device):
        for rows in _batches(lengths[order]):
            in_halves(lambda rows: launch(order[rows]), rows)
        land()


def in_halves(work: Callable[[slice], None], rows: slice) -> None:
    """Do the work for these rows, and where the device's memory does not do, for one half after the other.

    raises : torch.OutOfMemoryError where it does not do for one row
    """
    try:
        work(rows)
    except torch.OutOfMemoryError:
        if rows.stop - rows.start == 1:
            raise
    else:
        return
    # outside of the handler, whose traceback holds on to the tensors of the attempt
    torch.cuda.empty_cache()
    middle = (rows.start + rows.stop) // 2
    in_halves(work, slice(rows.start, middle))
    in_halves(work, slice(middle, rows.stop))


def send(array: NDArray[np.generic], device: str) -> Tensor:
    """The array on the device. From pinned memory, so that the host goes on while it travels."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device != "cpu" else tensor


def exact_products(device: str) -> AbstractContextManager[None]:
    """cuDNN would round the GRU's products to TF32, 1e-3 away from the CPU's scores."""
    return nullcontext() if device == "cpu" else torch.backends.cudnn.flags(allow_tf32=False)


def _batches(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Sequences by falling length, as many at a time as fit the limits; at least one."""
    start = 0
    while start < len(lengths):
        stop = min(start + max(1, min(_BATCH_SEQUENCES, _BATCH_EVENTS // int(lengths[start]))), len(lengths))
        yield slice(start, stop)
        start = stop
