"""Long sequences are cut so that every event is answered for once, with context enough before it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.config import ModelConfig
from training.fitting import cut_pieces
from training.model import SequenceModel
from training.tokens import NUM_TOKEN_FEATURES


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


def test_a_state_does_not_know_later_events_or_padding() -> None:
    network = SequenceModel(ModelConfig(state_size=8, head_size=8)).eval()
    tokens = torch.randn(3, 10, NUM_TOKEN_FEATURES, generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 6:] = 99.0
    with torch.inference_mode():
        states, other = network.encode(tokens), network.encode(changed)
        last = network.encode_last(changed, torch.tensor([6, 2, 1]))
    assert torch.equal(states[:, :6], other[:, :6])
    assert torch.equal(last, torch.stack([states[0, 5], states[1, 1], states[2, 0]]))


def test_an_untrained_network_gives_everybody_the_same_rates() -> None:
    network = SequenceModel(ModelConfig(state_size=8, head_size=8))
    assert torch.equal(network.rates.weight, torch.zeros_like(network.rates.weight))
