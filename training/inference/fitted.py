"""A fitted model: weights with all that inference needs beside them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kernels import Layer
from training.config import TrainConfig
from training.network.calibration import Calibration
from training.network.model import SequenceModel
from training.network.normaliser import Normaliser
from training.network.season import season_ahead
from training.network.spend import SpendScale


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedModel:
    """Weights with all that inference needs beside them."""

    config: TrainConfig
    network: SequenceModel
    token_normaliser: Normaliser
    situation_normaliser: Normaliser
    calibration: Calibration
    spend_scale: SpendScale
    _elsewhere: dict[str, SequenceModel] = field(default_factory=dict, repr=False, compare=False)

    def network_on(self, device: str) -> SequenceModel:
        """The network for inference on a device; the weights are copied there once."""
        if device == "cpu":
            return self.network.eval()
        if device not in self._elsewhere:
            self._elsewhere[device] = copy.deepcopy(self.network).to(device).eval()
        return self._elsewhere[device]

    @property
    def edges_days(self) -> NDArray[np.float64]:
        """float64[num_bins]: upper edges of the hazard bins."""
        return np.asarray(self.config.model.edges_days, np.float64)

    def season_level(self, situation: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the season adds to the log rates of every bin: float64[...] of raw situations float32[..., features]."""
        return np.asarray(season_ahead(situation).astype(np.float64) @ self.season_powers)

    @property
    def season_powers(self) -> NDArray[np.float64]:
        """float64[len(SEASON_DAYS)]: of what the season promises, by which all rates are multiplied."""
        return self.network.season.detach().cpu().numpy().astype(np.float64)

    @property
    def gru_weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Input weights, state weights, input bias and state bias of the network's GRU, as `kernels.roll_states` takes them."""
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        kept = self.network.gru.state_dict()
        input_weight, state_weight, input_bias, state_bias = (kept[name].cpu().numpy() for name in names)
        return input_weight, state_weight, input_bias, state_bias

    @property
    def heads(self) -> tuple[list[Layer], list[Layer]]:
        """The layers that purchases are told by, and those of spend, as `kernels.run_layers` takes them."""
        purchases, spend = (
            [
                (layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy())
                for layer in layers
                if isinstance(layer, nn.Linear)
            ]
            for layers in (
                [*self.network.body, self.network.rates],
                [*self.network.spend_body, self.network.spend_rates],
            )
        )
        return purchases, spend

    @property
    def state_size(self) -> int:
        """Width of a customer's state."""
        return self.config.model.state_size
