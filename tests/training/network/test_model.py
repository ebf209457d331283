"""The network tells nothing of what comes later, nor anything at all before it was trained."""

from __future__ import annotations

import torch

from training.config import ModelConfig
from training.network.model import SequenceModel
from training.network.tokens import NUM_TOKEN_FEATURES


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
