"""The calibrated churn probability at one horizon as a function of the head's first layer, and its gradient, written out.

The inputs are told in coordinates of their own: the situation, the last order, and what the state holds beyond what usually goes
with them.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.inference import FittedModel
from training.network.calibration import HIGHEST_HAZARD, LOWEST_HAZARD
from training.network.hazard import HIGHEST_LOG_RATE, LOWEST_LOG_RATE, bin_widths


class HorizonRisk:
    """f(z), where z is what the first layer of the head gives before its SiLU.

    season_level : what the season of the instant adds to the log rates, as FittedModel gives it
    first_weight : (H, I), of that layer by `coordinates`, so that a gradient by z is brought back to them
    N: customers, I: coordinates, H: its hidden units, K: hazard bins that begin before the horizon.

    No autograd: reasons are asked for inside inference mode, and the backward pass needs no more than is written here.
    """

    def __init__(
        self, model: FittedModel, horizon_days: float, state_by_known: NDArray[np.float32], *, season_level: float = 0.0
    ) -> None:
        first, second = (layer for layer in model.network_on("cpu").body if isinstance(layer, nn.Linear))
        edges = model.edges_days
        upper = int(np.searchsorted(edges, horizon_days))  # as training.predict.churn_probability reads between the edges
        before = float(edges[upper - 1]) if upper else 0.0
        rates = model.network_on("cpu").rates
        by_state, by_situation = first.weight.detach().tensor_split([model.state_size], dim=1)
        by_known = by_state @ torch.from_numpy(state_by_known).T  # what is known moves the state; the last order does no more
        by_known[:, : by_situation.shape[1]] += by_situation
        self.first_weight = torch.cat([by_state, by_known], dim=1)
        self._first_bias = first.bias.detach()
        self._second_weight = second.weight.detach()
        self._second_bias = second.bias.detach()
        self._rate_weight = rates.weight.detach()[: upper + 1].contiguous()
        self._rate_bias = rates.bias.detach()[: upper + 1].contiguous()
        # The season multiplies every rate, and so does a wider bin.
        self._widths = torch.as_tensor(bin_widths(edges)[: upper + 1] * math.exp(season_level), dtype=torch.float32)
        self._share = (horizon_days - before) / (float(edges[upper]) - before)  # of the last bin
        self._shift, self._slope = model.calibration.shift, model.calibration.slope

    def first_layer(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, H)"""
        return torch.addmm(self._first_bias, inputs, self.first_weight.T)

    def probability(self, first: Tensor) -> Tensor:
        """(N, H) -> (N,)"""
        hidden = torch.nn.functional.silu(torch.addmm(self._second_bias, torch.nn.functional.silu(first), self._second_weight.T))
        mass = self._mass(torch.addmm(self._rate_bias, hidden, self._rate_weight.T))
        return torch.exp(-self._hazard(mass)[0])

    def gradient(self, first: Tensor) -> Tensor:
        """Of `probability` by its argument. (N, H) -> (N, H)"""
        before_second = torch.addmm(self._second_bias, torch.nn.functional.silu(first), self._second_weight.T)
        log_rate = torch.addmm(self._rate_bias, torch.nn.functional.silu(before_second), self._rate_weight.T)
        mass = self._mass(log_rate)
        hazard, by_mass = self._hazard(mass)
        by_rate = -torch.exp(-hazard)[:, None] * by_mass * mass  # the mass is an exponential: it is its own derivative
        by_rate[(log_rate < LOWEST_LOG_RATE) | (log_rate > HIGHEST_LOG_RATE)] = 0.0
        by_second = torch.ops.aten.silu_backward(by_rate @ self._rate_weight, before_second)
        gradient: Tensor = torch.ops.aten.silu_backward(by_second @ self._second_weight, first)
        return gradient

    def _mass(self, log_rate: Tensor) -> Tensor:
        return torch.exp(log_rate.clamp(LOWEST_LOG_RATE, HIGHEST_LOG_RATE)) * self._widths

    def _hazard(self, mass: Tensor) -> tuple[Tensor, Tensor]:
        """Calibrated cumulative hazard at the horizon (N,), and its derivative by the mass of each bin (N, K)."""
        at_end, slope_at_end = self._calibrate(mass.sum(dim=1))
        by_mass = (self._share * slope_at_end)[:, None].expand_as(mass)
        if self._share == 1.0 or mass.shape[1] == 1:
            return self._share * at_end, by_mass
        at_start, slope_at_start = self._calibrate(mass[:, :-1].sum(dim=1))
        by_mass = by_mass.clone()
        by_mass[:, :-1] += ((1.0 - self._share) * slope_at_start)[:, None]
        return self._share * at_end + (1.0 - self._share) * at_start, by_mass

    def _calibrate(self, hazard: Tensor) -> tuple[Tensor, Tensor]:
        """As training.network.calibration.Calibration, and the derivative. (N,) -> (N,), (N,)"""
        limited = hazard.clamp(LOWEST_HAZARD, HIGHEST_HAZARD)
        calibrated = torch.exp(self._shift + self._slope * torch.log(limited))
        return calibrated, torch.where(limited == hazard, self._slope * calibrated / limited, 0.0)


def coordinates(
    model: FittedModel,
    states: NDArray[np.float32],
    situation: NDArray[np.float32],
    last_order: NDArray[np.float32],
    state_by_known: NDArray[np.float32],
) -> Tensor:
    """What the head takes in, in other words: float32 (N, I), the states without what is known of them, and what is known: the
    standardised situation and behind it the last order.

    states         : float32[n, state_size]
    situation      : float32[n, NUM_SITUATION_FEATURES], raw
    last_order     : float32[n, NUM_FEATURES], as training.reasons.last_order describes it
    state_by_known : float32[NUM_SITUATION_FEATURES + NUM_FEATURES, state_size], of `Usual`: what situation and last order say of
                     the state is taken off it, as a HorizonRisk with the same expects
    """
    known = np.concatenate([model.situation_normaliser.apply(situation), last_order], axis=1)
    return torch.from_numpy(np.concatenate([states - known @ state_by_known, known], axis=1))
