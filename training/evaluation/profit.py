"""Expected maximum profit of a retention campaign: what a ranking of customers is worth in money.

A campaign contacts the customers most at risk. Each contact costs `contact_cost`; a churner accepts the offer with a chance that
is only known up to a Beta distribution, then stays and keeps the value of a customer less the offer; who would not have churned
takes the offer for free. For every chance of acceptance the best share of customers is contacted.

source : Verbraken, Verbeke & Baesens (2013), A novel profit maximizing metric for measuring classification performance of
         customer churn prediction models, IEEE TKDE 25(5)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import betainc

from engine.errors import InvalidArgumentError


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfitConfig:
    """What a campaign costs and brings; the defaults are those of the source."""

    accept_alpha: float = 6.0
    """First parameter of the Beta distribution of the chance that a churner accepts the offer."""

    accept_beta: float = 14.0
    """Its second parameter; 6 and 14 mean 30 % with a standard deviation of 10 %."""

    customer_value: float = 200.0
    """Value of a customer who stays, in the currency of the result."""

    offer_cost: float = 10.0
    """Cost of the offer to each customer who takes it."""

    contact_cost: float = 1.0
    """Cost of each contact."""

    def __post_init__(self) -> None:
        for name in ("accept_alpha", "accept_beta", "customer_value"):
            if not getattr(self, name) > 0:
                raise InvalidArgumentError(name, f"found {getattr(self, name)}, expected a number above 0")
        for name in ("offer_cost", "contact_cost"):
            if not getattr(self, name) >= 0:
                raise InvalidArgumentError(name, f"found {getattr(self, name)}, expected 0 or more")
        if not self.offer_cost < self.customer_value:
            raise InvalidArgumentError("offer_cost", f"found {self.offer_cost}, expected less than the customer's value")


def expected_maximum_profit(
    num_churned: NDArray[np.float64], num_retained: NDArray[np.float64], config: ProfitConfig
) -> NDArray[np.float64]:
    """Profit per customer of the whole base, in currency; never below 0, as contacting nobody is free.

    num_churned, num_retained : float64[num_cases, num_groups] customers of each group of one score, groups by rising score
    returns                   : float64[num_cases]

    Only thresholds on the convex hull of the ROC curve can be best. Groups pooled until the share of churners rises are that
    hull, so isotonic regression finds it.
    """
    steps = [_hull_steps(bad, good) for bad, good in zip(num_churned, num_retained, strict=True)]
    case = np.repeat(np.arange(len(steps)), [step.shape[1] for step in steps])
    churned_step, retained_step = np.concatenate(steps, axis=1)
    # A step pays from the chance of acceptance on at which what it brings is what it costs.
    cost = config.offer_cost * retained_step + config.contact_cost * (churned_step + retained_step)
    gain = (config.customer_value - config.offer_cost) * churned_step
    pays_from = np.minimum(np.divide(cost, gain, out=np.ones_like(cost), where=gain > 0), 1.0)
    alpha, beta = config.accept_alpha, config.accept_beta
    chance = 1.0 - betainc(alpha, beta, pays_from)
    mean_chance = alpha / (alpha + beta) * (1.0 - betainc(alpha + 1.0, beta, pays_from))
    return np.asarray(np.bincount(case, gain * mean_chance - cost * chance, minlength=len(steps)), np.float64)


def _hull_steps(num_churned: NDArray[np.float64], num_retained: NDArray[np.float64]) -> NDArray[np.float64]:
    """Churners and others of each step of the hull, as shares of all customers: float64[2, num_steps]."""
    size = num_churned + num_retained
    seen = size > 0
    churned, size = num_churned[seen], size[seen]
    starts = isotonic_regression(churned / size, weights=size).blocks[:-1]
    churned_step = np.add.reduceat(churned, starts)
    return np.asarray(np.stack([churned_step, np.add.reduceat(size, starts) - churned_step]) / size.sum(), np.float64)
