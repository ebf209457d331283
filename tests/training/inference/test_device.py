"""The way that a GPU takes, walked on the CPU: torch's own unit gives the kernel's states, whatever memory there is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.history import History
from kernels import gather_sequences
from training.inference import device, encode_states
from training.inference.device import cut_batches, in_halves, pad, roll_on_device
from training.network.model import SequenceModel
from training.network.tokens import event_tokens
from training.trained import TrainedModel


def roll(trained: TrainedModel, history: History) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """States of a partition by torch's unit, and by the kernel."""
    partition = history.partition(0)
    begin, lengths = partition.offsets[:-1], np.diff(partition.offsets)

    def tokens_of(chosen: NDArray[np.int64], start: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float32]:
        row = np.concatenate([np.arange(first, first + size) for first, size in zip(start, sizes, strict=True)])
        first_row = np.repeat(partition.offsets[chosen], sizes)
        tokens = event_tokens(partition, row, row - first_row, partition.timestamp_us[first_row])
        return trained.model.token_normaliser.apply(tokens)

    states = np.zeros((partition.num_customers, trained.model.state_size), np.float32)
    order = np.argsort(-lengths, kind="stable")
    roll_on_device(trained.model, tokens_of, order, begin, lengths, states, device="cpu")
    return states, encode_states(trained.model, partition, np.arange(len(begin)), begin, partition.offsets[1:])


def test_the_unit_of_torch_gives_the_states_of_the_kernel(trained: TrainedModel, history: History) -> None:
    found, expected = roll(trained, history)
    assert np.abs(found - expected).max() <= 1e-6


@pytest.mark.parametrize("most_sequences", [1, 30])
def test_short_memory_halves_the_batch(
    trained: TrainedModel, history: History, monkeypatch: pytest.MonkeyPatch, most_sequences: int
) -> None:
    encode_last = SequenceModel.encode_last
    sizes: list[int] = []

    def encode_few(network: SequenceModel, tokens: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if len(tokens) > most_sequences:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        sizes.append(len(tokens))
        return encode_last(network, tokens, *rest)

    monkeypatch.setattr(SequenceModel, "encode_last", encode_few)
    found, expected = roll(trained, history)
    assert np.abs(found - expected).max() <= 1e-6
    assert sum(sizes) == len(found)
    assert max(sizes) <= most_sequences


def test_a_history_longer_than_a_batch_is_rolled_in_pieces(
    trained: TrainedModel, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_BATCH_EVENTS", 7)
    monkeypatch.setattr(device, "_MADE_AT_ONCE", 3)
    assert np.diff(history.partition(0).offsets).max() > 14
    found, expected = roll(trained, history)
    assert np.abs(found - expected).max() <= 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_long_tailed_lengths_are_padded_by_little_few_and_large(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths = -np.sort(-np.minimum(1 + random.lognormal(3.3, 1.2, 16_000), 800).astype(np.int64))
    batches = list(cut_batches(lengths))
    assert [batch.start for batch in batches] == [0, *(batch.stop for batch in batches[:-1])]
    assert batches[-1].stop == len(lengths)
    padded = [int(lengths[batch.start]) * (batch.stop - batch.start) for batch in batches]
    assert sum(padded) < 1.2 * lengths.sum()
    assert len(batches) <= 24
    assert min(padded[:-1]) > 7_000
    assert max(padded) <= 1 << 18


def test_the_device_pads_what_came_end_to_end() -> None:
    sizes = np.array([4, 2, 2, 1])
    tokens = np.random.default_rng(0).normal(size=(sizes.sum(), 3)).astype(np.float32)
    stop = np.cumsum(sizes)
    expected, _ = gather_sequences(tokens, stop - sizes, stop, 4)
    padded = pad(torch.from_numpy(tokens), torch.from_numpy(sizes), 4)
    assert padded.shape == (4, 4, 3)
    for one, other, size in zip(padded.numpy(), expected, sizes, strict=True):
        assert np.array_equal(one[:size], other[:size])
    assert np.array_equal(padded[1, 2:], np.tile(tokens[5], (2, 1)))


def test_memory_too_short_for_one_row_is_an_error() -> None:
    done: list[slice] = []

    def work(rows: slice) -> None:
        if rows.stop > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.append(rows)

    with pytest.raises(torch.OutOfMemoryError):
        in_halves(work, slice(0, 8))
    assert done == [slice(0, 4), slice(4, 5)]
