"""The optimiser, its learning rate over the epochs, and the moving average of the weights."""

from __future__ import annotations

import math

import torch

from training.config import TrainConfig
from training.network.model import SequenceModel

_WARM_UP_OF_STEPS = 0.2
# From this share of the steps on, the learning rate stays at this share of its peak.
_LEVEL_FROM, _LEVEL = 0.6, 0.3


def make_optimiser(network: SequenceModel, config: TrainConfig) -> torch.optim.AdamW:
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=config.learning_rate,
    )


def rate_share(share_done: float) -> float:
    """Learning rate as a share of its peak: up along a cosine, down along another, then level to the end.

    The level stretch is what the moving average lives on: weights that wander around a wide minimum, whose mean is better and
    better calibrated than any of them. By share done and not by step: how many pieces are asked about, and so how many steps
    an epoch has, differs by draw.

    source : Izmailov et al. (2018), Averaging weights leads to wider optima and better generalization
    """
    if share_done < _WARM_UP_OF_STEPS:
        return 0.5 * (1.04 - 0.96 * math.cos(math.pi * share_done / _WARM_UP_OF_STEPS))
    cooling = min((share_done - _WARM_UP_OF_STEPS) / (_LEVEL_FROM - _WARM_UP_OF_STEPS), 1.0)
    return _LEVEL + (1.0 - _LEVEL) * 0.5 * (1.0 + math.cos(math.pi * cooling))


def move_average(averaged: SequenceModel, network: SequenceModel, decay: float) -> None:
    with torch.no_grad():
        for kept, current in zip(averaged.parameters(), network.parameters(), strict=True):
            kept.lerp_(current, 1.0 - decay)
