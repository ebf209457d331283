"""Spend: what customers are expected to pay in each bin of days ahead, learnt from the bins that are known to their end.

The model gives the log of a daily spend for each bin, relative to what an order of the customer usually costs. A bin of w days
with rate r is expected to bring r w, so that the spend up to an edge is the sum over the bins before it, and inside a bin it
grows evenly. Quasi-Poisson: all that is assumed of the amounts is that their variance grows with their mean, and the means are
right in total whatever the amounts are distributed like.

Where the chain gave no amounts every order counts 1, and "spend" is a number of orders.

source : McCullagh & Nelder (1989), Generalized Linear Models, ch. 9, quasi-likelihood; Gourieroux, Monfort & Trognon (1984),
         Econometrica 52, for means that stay right under it
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US
from engine.partition import Partition
from kernels import locate_instants
from training.network.hazard import HIGHEST_LOG_RATE, LOWEST_LOG_RATE, bin_widths
from training.network.situation import SITUATION_NAMES

MINOR_PER_UNIT = 100.0
# Orders above this quantile count as one at it, and all in proportion more, so that the total stays what it was: a single order
# of seventy thousand teaches nothing about whoever placed it (docs/log.md).
_HIGHEST_QUANTILE = 0.995
# The chain's mean order weighs as much as this many orders of the customer.
_PRIOR_ORDERS = 2.0
# A bin known of fewer queries, or of a smaller share of them, takes the rate of the last one known of enough. What is known of a
# late bin is known of the earliest instants alone: its level is that of one season.
_LEAST_QUERIES_OF_A_BIN = 200
_LEAST_SHARE_OF_A_BIN = 1 / 3

_BASKET, _ORDERS = SITUATION_NAMES.index("basket_90d"), SITUATION_NAMES.index("orders_90d")


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendScale:
    """What an order counts for, fitted on the past and kept in the bundle.

    has_amounts : whether the chain gave amounts; else every order counts 1
    mean        : of an order, currency units
    highest     : what an order counts for at most, currency units
    weight      : of what orders count for so, for their total to be that of the amounts
    """

    has_amounts: bool
    mean: float
    highest: float
    weight: float

    def usual_order(self, situation: NDArray[np.float32]) -> NDArray[np.float64]:
        """What an order of the customer costs, over what one of the chain does: of the last 90 days, shrunk towards 1.

        situation : float32[n, NUM_SITUATION_FEATURES], raw
        returns   : float64[n], above 0
        """
        if not self.has_amounts:
            return np.ones(len(situation))
        basket, orders = (np.expm1(np.nan_to_num(situation[:, place].astype(np.float64))) for place in (_BASKET, _ORDERS))
        orders = np.where(np.isnan(situation[:, _BASKET]), 0.0, orders)
        relative = np.clip(basket, 0.0, self.highest) / self.mean
        return np.asarray((orders * relative + _PRIOR_ORDERS) / (orders + _PRIOR_ORDERS))

    def usual_order_of_one(self, situation: NDArray[np.float32]) -> float:
        """The same of one customer: float32[NUM_SITUATION_FEATURES]. A dozen calls of NumPy for one number take 25 us."""
        if not self.has_amounts or math.isnan(situation[_BASKET]):
            return 1.0
        basket, orders = math.expm1(situation[_BASKET]), math.expm1(situation[_ORDERS])
        relative = min(max(basket, 0.0), self.highest) / self.mean
        return (orders * relative + _PRIOR_ORDERS) / (orders + _PRIOR_ORDERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendTargets:
    """What is known of the spend after each query, in mean orders of the chain.

    spent     : float32[n, num_bins]  in each bin; means nothing in those that are not known
    num_known : int64[n]              bins that end within knowledge
    log_usual : float32[n]            log of `SpendScale.usual_order`
    """

    spent: NDArray[np.float32]
    num_known: NDArray[np.int64]
    log_usual: NDArray[np.float32]


def fit_spend_scale(past: Partition) -> SpendScale:
    """The scale of a past; where nobody paid anything, as if there were no amounts."""
    paid = _paid(past)[past.is_purchase]
    if not past.coverage.has_amounts or paid.sum() <= 0:
        return SpendScale(has_amounts=False, mean=1.0, highest=1.0, weight=1.0)
    highest = float(np.quantile(paid, _HIGHEST_QUANTILE))
    # Where nearly all orders were free the quantile is 0.
    highest = highest if highest > 0 else float(paid.max())
    return SpendScale(
        has_amounts=True,
        mean=float(paid.mean()),
        highest=highest,
        weight=float(paid.sum() / np.minimum(paid, highest).sum()),
    )


def spend_targets(
    past: Partition,
    scale: SpendScale,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    known_days: NDArray[np.float64],
    situation: NDArray[np.float32],
    edges_days: NDArray[np.float64],
) -> SpendTargets:
    """What a past tells of the spend after each query.

    customer_index, as_of_us, known_days : of each query, as in `training.data.queries.Queries`
    situation                            : float32[n, NUM_SITUATION_FEATURES], raw
    """
    if scale.has_amounts:
        counted = np.minimum(_paid(past), scale.highest) * (scale.weight / scale.mean)
    else:
        counted = np.ones(past.num_events)
    return SpendTargets(
        spent=np.diff(_spent_by(past, np.where(past.is_purchase, counted, 0.0), customer_index, as_of_us, edges_days)).astype(
            np.float32
        ),
        num_known=np.searchsorted(edges_days, known_days, side="right").astype(np.int64),
        log_usual=np.log(scale.usual_order(situation)).astype(np.float32),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSpend:
    """What all queries together spent, to begin from.

    log_rate   : float32[num_bins]  daily, relative to usual orders
    num_seen   : bins that are known often enough to be learnt; the others take the rate of the last of these
    of_a_query : in all its known bins, mean orders of the chain
    """

    log_rate: NDArray[np.float32]
    num_seen: int
    of_a_query: float


def mean_spend(targets: SpendTargets, edges_days: NDArray[np.float64]) -> MeanSpend:
    """See MeanSpend."""
    num_queries, num_bins = targets.spent.shape
    known = targets.num_known[:, None] > np.arange(num_bins)
    spent = np.where(known, targets.spent, 0.0).sum(axis=0, dtype=np.float64)
    usual = np.exp(targets.log_usual.astype(np.float64))[:, None]
    rate = (spent + 0.5) / ((np.where(known, usual, 0.0).sum(axis=0) + 1.0) * bin_widths(edges_days))
    least = max(_LEAST_QUERIES_OF_A_BIN, _LEAST_SHARE_OF_A_BIN * num_queries)
    num_seen = max(1, int(np.sum(np.cumprod(known.sum(axis=0) >= least))))
    rate[num_seen:] = rate[num_seen - 1]
    # Of nobody who bought anything there is no mean to divide by.
    of_a_query = max(float(spent.sum()) / max(num_queries, 1), 1e-3)
    return MeanSpend(log_rate=np.log(rate).astype(np.float32), num_seen=num_seen, of_a_query=of_a_query)


def spent_within(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    days: float,
    *,
    has_amounts: bool,
) -> NDArray[np.float64]:
    """What each customer spent in [as_of, as_of + days): float64[n]; currency units, or orders where there are no amounts."""
    counted = _paid(partition) if has_amounts else np.ones(partition.num_events)
    instants = np.ascontiguousarray(np.broadcast_to(np.asarray(as_of_us, np.int64), customer_index.shape))
    spent = _spent_by(partition, np.where(partition.is_purchase, counted, 0.0), customer_index, instants, np.asarray([days]))
    return np.asarray(spent[:, 1] - spent[:, 0])


def expected_spend(edges_days: NDArray[np.float64], spend: NDArray[np.floating], days: float) -> NDArray[np.float64]:
    """Expected spend within some days, growing evenly inside a bin, and beyond the last one as in it.

    spend   : float[n, num_bins]  cumulative, by each edge
    returns : float64[n]
    raises  : InvalidArgumentError, if the days are not above 0
    """
    if not days > 0:
        raise InvalidArgumentError("days", f"found {days:g}, expected more than 0")
    upper = min(int(edges_days.searchsorted(days)), len(edges_days) - 1)
    start = 0.0 if upper == 0 else float(edges_days[upper - 1])
    share = (days - start) / (float(edges_days[upper]) - start)
    after = spend[:, upper].astype(np.float64)
    if upper == 0:
        return np.asarray(share * after)
    before = spend[:, upper - 1].astype(np.float64)
    return np.asarray(before + share * (after - before))


def bin_spend(log_rate: Tensor, log_usual: Tensor, widths_days: Tensor) -> Tensor:
    """Expected spend in each bin, in mean orders. (N, K), (N,), (K,) -> (N, K)"""
    return torch.exp(log_rate.clamp(LOWEST_LOG_RATE, HIGHEST_LOG_RATE) + log_usual[:, None]) * widths_days


def quasi_poisson_loss(expected: Tensor, spent: Tensor, num_known: Tensor) -> Tensor:
    """Of each query: the deviance of its known bins, up to what the model cannot change. (N, K), (N, K), (N,) -> (N,)"""
    known = torch.arange(expected.shape[1], device=expected.device) < num_known[:, None]
    return torch.where(known, expected - spent * torch.log(expected), 0.0).sum(dim=1)


def _paid(partition: Partition) -> NDArray[np.float64]:
    return np.maximum(partition.amount_minor, 0) / MINOR_PER_UNIT


def _spent_by(
    partition: Partition,
    counted: NDArray[np.float64],
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    edges_days: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What was counted before the instant and before each edge after it: float64[n, 1 + num_edges], up to a constant a row."""
    before = np.concatenate((np.zeros(1), np.cumsum(counted)))
    instants = as_of_us[:, None] + np.round(np.concatenate(([0.0], edges_days)) * DAY_US).astype(np.int64)
    customers = np.repeat(customer_index, instants.shape[1])
    rows = locate_instants(partition.timestamp_us, partition.offsets, customers, instants.ravel())
    return np.asarray(before[rows].reshape(instants.shape))
