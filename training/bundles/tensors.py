"""The tensors of a fitted model by name, as bundles and checkpoints keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

import torch

from training.config import TrainConfig
from training.inference import FittedModel
from training.network.calibration import Calibration
from training.network.model import SequenceModel
from training.network.normaliser import Normaliser
from training.network.spend import SpendScale

_NETWORK_PREFIX = "network."
_SPEND_SCALE = "spend_scale"


def tensors_of(model: FittedModel) -> dict[str, torch.Tensor]:
    """Weights, normalisers and the scale of spend; on the CPU."""
    tensors = {_NETWORK_PREFIX + name: value.detach().contiguous() for name, value in model.network.state_dict().items()}
    for name in ("token_normaliser", "situation_normaliser"):
        normaliser: Normaliser = getattr(model, name)
        tensors[f"{name}.mean"] = torch.from_numpy(normaliser.mean.copy())
        tensors[f"{name}.scale"] = torch.from_numpy(normaliser.scale.copy())
    tensors[_SPEND_SCALE] = torch.tensor(astuple(model.spend_scale), dtype=torch.float64)
    return tensors


def model_from(tensors: Mapping[str, torch.Tensor], config: TrainConfig, calibration: Calibration) -> FittedModel:
    """The way back, for inference; torch's random state is left as it is.

    raises : KeyError, RuntimeError where tensors are missing or of another shape
    """
    with torch.random.fork_rng(devices=[]):  # a network begins with random weights
        network = SequenceModel(config.model)
    network.load_state_dict(
        {name.removeprefix(_NETWORK_PREFIX): value for name, value in tensors.items() if name.startswith(_NETWORK_PREFIX)}
    )
    network.requires_grad_(False).eval()
    return FittedModel(
        config=config,
        network=network,
        token_normaliser=_normaliser(tensors, "token_normaliser"),
        situation_normaliser=_normaliser(tensors, "situation_normaliser"),
        calibration=calibration,
        spend_scale=_spend_scale(tensors[_SPEND_SCALE]),
    )


def _normaliser(tensors: Mapping[str, torch.Tensor], name: str) -> Normaliser:
    return Normaliser(mean=tensors[f"{name}.mean"].numpy(), scale=tensors[f"{name}.scale"].numpy())


def _spend_scale(numbers: torch.Tensor) -> SpendScale:
    has_amounts, mean, highest, weight = numbers.tolist()
    return SpendScale(has_amounts=bool(has_amounts), mean=mean, highest=highest, weight=weight)
