"""Integrated gradients of the churn probability over the head's inputs, along the straight line from a baseline.

    contribution of input j = (x_j - b_j) * integral over a in [0, 1] of df/dx_j at b + a (x - b)

They add up to f(x) - f(b), and an input that is as in the baseline contributes nothing.

source : Sundararajan, Taly & Yan (2017), ICML; it is the Aumann-Shapley value (1974) of the inputs
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.reasons.risk import HorizonRisk
from training.threads import share_rows

# Contributions may miss the difference by this much, in probability: a twentieth of what is promised, since errors of single ones
# may cancel in the sum. With 2e-4 one of a very bent model was off by 1.4e-3; with this one, of real ones, by 8e-5.
TOLERANCE = 5e-5
# Gauss-Legendre nodes: the first for all, the next ones for those who miss the tolerance. Three are enough for 98 of 100.
_NUM_NODES = (3, 6, 12, 24, 48, 96)
# Customers at a time: what their nodes need stays in the processor's cache.
_BATCH_CUSTOMERS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """Where the difference between customers and their baselines comes from.

    contributions : float32[n, num_groups], in probability
    probability   : float32[n], f of the customer
    residual      : float32[n], sum of the contributions of all inputs less f(x) - f(b): what the quadrature left
    """

    contributions: NDArray[np.float32]
    probability: NDArray[np.float32]
    residual: NDArray[np.float32]


class IntegratedGradients:
    """Contributions of groups of inputs to one risk, from one of several baselines.

    risk      : f
    baselines : float32 (B, I)
    groups    : int64[I], the group of each input, 0 to num_groups - 1, or -1 for inputs that nobody asks about
    """

    def __init__(self, risk: HorizonRisk, baselines: Tensor, groups: NDArray[np.int64]) -> None:
        self._risk = risk
        self._baselines = baselines
        self._of_group = torch.from_numpy((groups[:, None] == np.arange(groups.max() + 1)).astype(np.float32))  # (I, G)
        self._start = risk.first_layer(baselines)  # (B, H)
        self._start_probability = risk.probability(self._start)

    @property
    def start_probability(self) -> NDArray[np.float32]:
        """f of each baseline: float32[B]."""
        values: NDArray[np.float32] = self._start_probability.numpy()
        return values

    def attribute(self, inputs: Tensor, baseline_of: NDArray[np.int64]) -> Attribution:
        """Where each customer's difference comes from.

        inputs      : float32 (N, I)
        baseline_of : int64[N]
        """
        num_customers = len(inputs)
        contributions = torch.empty((num_customers, self._of_group.shape[1]))
        probability, residual = torch.empty(num_customers), torch.empty(num_customers)

        def fill(chosen: slice) -> None:
            with torch.inference_mode():  # a thread of its own does not inherit it
                which = torch.from_numpy(baseline_of[chosen])
                by_input, probability[chosen], residual[chosen] = self._integrate(inputs[chosen] - self._baselines[which], which)
                contributions[chosen] = by_input @ self._of_group

        share_rows(fill, num_customers, _BATCH_CUSTOMERS)
        return Attribution(contributions=contributions.numpy(), probability=probability.numpy(), residual=residual.numpy())

    def _integrate(self, step: Tensor, which: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From steps (N, I) away from the baselines (N,): contributions of the inputs (N, I), f at the end and residual (N,).

        The first layer is linear, so that its outputs move on a straight line, too: no node needs a product with all inputs,
        and the mean gradient is brought back to them once.
        """
        start, first_step = self._start[which], step @ self._risk.first_weight.T  # (N, H)
        probability = self._risk.probability(start + first_step)
        difference = probability - self._start_probability[which]
        gradient = self._mean_gradient(start, first_step, _NUM_NODES[0])
        residual = (gradient * first_step).sum(dim=1) - difference
        for num_nodes in _NUM_NODES[1:]:
            missed = torch.nonzero(residual.abs() > TOLERANCE)[:, 0]
            if len(missed) == 0:
                break
            gradient[missed] = self._mean_gradient(start[missed], first_step[missed], num_nodes)
            residual[missed] = (gradient[missed] * first_step[missed]).sum(dim=1) - difference[missed]
        return (gradient @ self._risk.first_weight).mul_(step), probability, residual

    def _mean_gradient(self, start: Tensor, step: Tensor, num_nodes: int) -> Tensor:
        """By the first layer's outputs, over the line from `start` to `start + step`. (N, H), (N, H) -> (N, H)"""
        place, weight = _nodes(num_nodes)
        first = torch.addcmul(start, place[:, None, None], step)  # (nodes, N, H)
        gradients = self._risk.gradient(first.flatten(0, 1)).view_as(first)
        mean: Tensor = torch.tensordot(weight, gradients, dims=1)
        return mean


@lru_cache
def _nodes(num_nodes: int) -> tuple[Tensor, Tensor]:
    """Places in (0, 1) and weights of the Gauss-Legendre rule."""
    place, weight = np.polynomial.legendre.leggauss(num_nodes)
    return torch.from_numpy((0.5 * (place + 1.0)).astype(np.float32)), torch.from_numpy((0.5 * weight).astype(np.float32))
