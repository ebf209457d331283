"""Discrete-time hazards of the next purchase: likelihood under censoring, and survival.

The model gives the log of a daily purchase rate for each bin of days ahead. A bin of w days with rate r has the hazard
1 - exp(-r w), so that the cumulative hazard at an edge is the sum of r w over the bins before it, survival its negative
exponential, and both are as easily read between the edges as at them.

source : Prentice & Gloeckler (1978), Biometrics 34, grouped survival data with the complementary log-log link
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# A rate outside exp(-14)..exp(4) per day (one in 3,000 years, 50 a day) is noise; the limits keep exp and log finite.
LOWEST_LOG_RATE, HIGHEST_LOG_RATE = -14.0, 4.0


def bin_widths(edges_days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Days in each bin; the first begins at 0."""
    return np.diff(edges_days, prepend=0.0)


def count_survived_bins(
    wait_days: NDArray[np.float64], known_days: NDArray[np.float64], edges_days: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What is known of each query's wait.

    wait_days  : float64[num_queries]  days to the next purchase, inf where none is known
    known_days : float64[num_queries]  days from the instant to the end of knowledge
    returns    : num_survived int64[num_queries], bins surely passed without a purchase;
                 purchased bool[num_queries], whether the purchase fell into the bin after those

    A bin that reaches beyond the end of knowledge tells nothing, not even where its purchase was seen: counting those and
    not the missing ones would raise the hazard of the latest bins.
    """
    num_known = np.searchsorted(edges_days, known_days, side="right")
    # A purchase exactly at an edge is after that edge: survival is "no purchase in [instant, instant + edge)".
    num_waited = np.searchsorted(edges_days, wait_days, side="right")
    return np.minimum(num_waited, num_known).astype(np.int64), num_waited < num_known


def bin_hazards(log_rate: Tensor, widths_days: Tensor) -> Tensor:
    """Hazard mass r w of each bin. (N, K), (K,) -> (N, K)"""
    return torch.exp(log_rate.clamp(LOWEST_LOG_RATE, HIGHEST_LOG_RATE)) * widths_days


def negative_log_likelihood(mass: Tensor, num_survived: Tensor, purchased: Tensor) -> Tensor:
    """Of each query. mass (N, K), num_survived int64 (N,), purchased bool (N,) -> (N,)

    Survived bins cost their mass; the bin of the purchase costs -log(1 - exp(-mass)).
    """
    bins = torch.arange(mass.shape[1], device=mass.device)
    survived = torch.where(bins < num_survived[:, None], mass, 0.0).sum(dim=1)
    at_purchase = mass.gather(1, num_survived.clamp(max=mass.shape[1] - 1)[:, None])[:, 0]
    return survived + torch.where(purchased, -torch.log(-torch.expm1(-at_purchase)), 0.0)


def cumulative_at(mass: Tensor, edges_days: NDArray[np.float64], horizon_days: float) -> Tensor:
    """Cumulative hazard at a horizon, bins shared out evenly. (N, K) -> (N,)"""
    starts = np.concatenate(([0.0], edges_days[:-1]))
    share = np.clip((horizon_days - starts) / (edges_days - starts), 0.0, 1.0)
    return mass @ torch.as_tensor(share, dtype=mass.dtype, device=mass.device)


def horizon_cross_entropy(cumulative: Tensor, churned: Tensor, known: Tensor) -> Tensor:
    """Binary cross entropy of churn at a horizon, 0 where the outcome is not known. (N,) each -> (N,)"""
    loss = torch.where(churned, cumulative, -torch.log(-torch.expm1(-cumulative)))
    return torch.where(known, loss, 0.0)
