"""The forward path on a GPU: torch's own unit and layers, batches of alike lengths that are halved where memory is short.

Tokens come to lie in pinned memory, from which the device takes them end to end; it pads them itself, by a gather. Packed
sequences would need no padding, but torch gives them the cuDNN algorithm that launches kernels for each event of the longest, and
a padded batch of states as narrow as these the one that rolls all of it (`get_algo` in torch's ATen/native/cudnn/RNN.cpp).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.inference.fitted import FittedModel
from training.network.tokens import NUM_TOKEN_FEATURES
from training.threads import one_torch_thread

# Events per forward pass, padding included: some 30 MB of tokens, so that the device works while the host makes the next. Longer
# histories are rolled in pieces.
_BATCH_EVENTS = 1 << 18
# A batch ends where a sequence is shorter than this share of its longest, as padding costs what events cost …
_LEAST_SHARE = 0.8
# … but not below so many events: of few a GPU does an event of each at once, and takes as long as the longest has events.
_LEAST_EVENTS = 1 << 13
# Events whose tokens are in a core's second-level cache between the loops that make them and the copy to pinned memory.
_MADE_AT_ONCE = 8192

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
        after = send(states[chosen], device)
        for done in range(0, int(lengths[chosen[0]]), _BATCH_EVENTS):  # more than once for a single long history
            sizes = np.minimum(lengths[chosen] - done, _BATCH_EVENTS)
            tokens = _make_tokens(tokens_of, chosen, begin[chosen] + done, sizes, device)
            sizes_there = send(sizes, device)
            after = network.encode_last(pad(tokens, sizes_there, int(sizes[0])), sizes_there, after)
        land()
        under_way.append((chosen, after))

    with one_torch_thread(), torch.inference_mode(), exact_products(device):
        for rows in cut_batches(lengths[order]):
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


def cut_batches(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Sequences by falling length, in batches of alike lengths that are padded by little and large enough for a GPU.

    lengths : int64[n], falling, each above 0
    """
    start = 0
    while start < len(lengths):
        longest = int(lengths[start])
        alike = int(np.searchsorted(-lengths, -_LEAST_SHARE * longest, side="right"))
        stop = min(max(alike, start + _LEAST_EVENTS // longest), start + max(1, _BATCH_EVENTS // longest), len(lengths))
        yield slice(start, stop)
        start = stop


def pad(tokens: Tensor, sizes: Tensor, longest: int) -> Tensor:
    """Sequences end to end as a right-padded batch. (sum of B sizes, F), int64 (B,) -> (B, T, F)

    What pads a sequence is its last event again. In memory time comes first, as cuDNN takes it without a copy.
    """
    step = torch.arange(longest, device=tokens.device)[:, None]
    row = sizes.cumsum(0) - sizes + torch.minimum(step, sizes - 1)  # (T, B)
    return tokens[row].transpose(0, 1)


def _make_tokens(
    tokens_of: Tokens, chosen: NDArray[np.int64], first: NDArray[np.int64], sizes: NDArray[np.int64], device: str
) -> Tensor:
    """(sum of sizes, F) on the device, on its way there from pinned memory.

    torch keeps pinned memory that is freed, and gives it to who asks next once what was to be read from it is read.
    """
    stop = np.cumsum(sizes)
    tokens = torch.empty(int(stop[-1]), NUM_TOKEN_FEATURES, pin_memory=device != "cpu")
    into = tokens.numpy()
    edges = np.flatnonzero(np.diff((stop - 1) // _MADE_AT_ONCE, prepend=-1, append=-1))
    for begin, end in pairwise(edges.tolist()):
        some = slice(begin, end)
        into[stop[begin] - sizes[begin] : stop[end - 1]] = tokens_of(chosen[some], first[some], sizes[some])
    return tokens.to(device, non_blocking=True)
