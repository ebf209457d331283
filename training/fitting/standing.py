"""Where learning stands between two epochs: all that is needed to go on to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from training.bundles.tensors import model_from, tensors_of
from training.config import TrainConfig
from training.fitting.start import Begun
from training.inference import FittedModel
from training.network.calibration import Calibration
from training.network.normaliser import Normaliser

# Names of tensors begin with these.
_NETWORK, _AVERAGED, _OPTIMISER, _RANDOM = "network.", "averaged.", "optimiser.", "random."


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """After an epoch. Everything lies on the CPU and is a copy.

    num_epochs, num_steps : done
    begun                 : what the first draw settled
    network               : the weights that the next step begins from, by name
    model                 : the averaged weights with the normalisers, uncalibrated
    optimiser             : AdamW's moments, by number of the parameter and name
    draws                 : NumPy's bit generator, JSON types
    torch_random          : uint8 states of torch's generators, by device
    """

    num_epochs: int
    num_steps: int
    begun: Begun
    network: Mapping[str, torch.Tensor]
    model: FittedModel
    optimiser: Mapping[int, Mapping[str, torch.Tensor]]
    draws: dict[str, Any]
    torch_random: Mapping[str, torch.Tensor]

    @property
    def normalisers(self) -> tuple[Normaliser, Normaliser]:
        """Of tokens and of situations."""
        return self.model.token_normaliser, self.model.situation_normaliser

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors under names that `parse_standing` understands."""
        moments = {
            f"{_OPTIMISER}{number}.{name}": value for number, state in self.optimiser.items() for name, value in state.items()
        }
        return {
            **{_NETWORK + name: value for name, value in self.network.items()},
            **{_AVERAGED + name: value for name, value in tensors_of(self.model).items()},
            **moments,
            **{_RANDOM + name: value for name, value in self.torch_random.items()},
        }

    def numbers(self) -> dict[str, Any]:
        """All that is no tensor, as JSON types."""
        return {name: getattr(self, name) for name in ("num_epochs", "num_steps", "draws")} | {"begun": asdict(self.begun)}


def parse_standing(numbers: dict[str, Any], tensors: Mapping[str, torch.Tensor], config: TrainConfig) -> Standing:
    """The way back.

    config : of the fit
    raises : KeyError, ValueError, TypeError, RuntimeError for what is no standing of such a fit
    """
    optimiser: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _below(_OPTIMISER, tensors).items():
        number, _, moment = name.partition(".")
        optimiser.setdefault(int(number), {})[moment] = value
    return Standing(
        network=_below(_NETWORK, tensors),
        model=model_from(_below(_AVERAGED, tensors), config, Calibration()),
        optimiser=optimiser,
        torch_random=_below(_RANDOM, tensors),
        **{**numbers, "begun": Begun(**numbers["begun"])},
    )


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
