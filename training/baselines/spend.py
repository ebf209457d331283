"""What the baselines expect customers to spend: as much as lately, or expected purchases times an expected order.

source : Batislam, Denizel & Filiztekin (2007) for MBG/NBD, see `training.baselines.mbg_nbd`; Fader, Hardie & Lee (2005), RFM and
         CLV: Using iso-value curves for customer base analysis, Journal of Marketing Research 42(4), for the gamma-gamma model
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, gammaln

from engine.instants import DAY_US
from engine.partition import Partition
from training.baselines.mbg_nbd import Floats, Histories, MbgNbd, fit_mbg_nbd, see_histories
from training.network.spend import spent_within

_NUM_QUANTILES = 64
_BOUND = 8.0


def spend_by_past_rate(
    past: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: int,
    active_within_days: int,
    days: float,
    *,
    has_amounts: bool,
) -> Floats:
    """Everybody goes on spending as in the days that make a customer active, or since the first event; float64[n]."""
    since_us = max(as_of_us - active_within_days * DAY_US, int(past.timestamp_us.min()))
    seen_days = (as_of_us - since_us) / DAY_US
    return spent_within(past, customer_index, since_us, seen_days, has_amounts=has_amounts) * (days / seen_days)


def spend_by_mbg_nbd(
    past: Partition, customer_index: NDArray[np.int64], as_of_us: int, days: tuple[float, ...], *, has_amounts: bool
) -> list[Floats]:
    """Purchases expected by MBG/NBD times the order expected by gamma-gamma, for each number of days; float64[n] each.

    past : events strictly before the as-of; both models are fitted on everybody who ever bought
    """
    bought = np.unique(np.searchsorted(past.offsets, np.flatnonzero(past.is_purchase), side="right") - 1)
    seen = see_histories(past, bought, as_of_us)
    num_days = seen.num_repeats + 1
    first_us = int(past.timestamp_us.min())
    total = spent_within(past, bought, first_us, (as_of_us - first_us) / DAY_US, has_amounts=has_amounts)
    basket = fit_gamma_gamma(num_days, total / num_days).expected_mean(num_days, total / num_days)
    model = fit_mbg_nbd(seen)
    place = np.searchsorted(bought, customer_index)
    asked = Histories(
        num_repeats=seen.num_repeats[place], last_days=seen.last_days[place], observed_days=seen.observed_days[place]
    )
    return [expected_purchases(model, asked, ahead) * basket[place] for ahead in days]


def expected_purchases(model: MbgNbd, seen: Histories, days: float) -> Floats:
    """Mean number of days with a purchase in the days after the instant; float64[n].

    Of a customer who is alive with rate l and chance p to leave after a purchase it is (1 - exp(-l p days)) / p. The mean over
    what is known of l, a gamma distribution, has a closed form; that over p, a beta distribution, is taken at quantiles.
    """
    quantile = (np.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES
    # Customers of as many purchases share the distribution of p.
    num_repeats, group = np.unique(seen.num_repeats, return_inverse=True)
    leave = np.maximum(betaincinv(model.leave, model.stay + num_repeats[:, None] + 1.0, quantile), 1e-9)[group]
    until = (model.scale_days + seen.observed_days)[:, None]
    log_silent = -(model.shape + seen.num_repeats)[:, None] * np.log1p(leave * days / until)
    return np.asarray(model.alive(seen) * (-np.expm1(log_silent) / leave).mean(axis=1))


@dataclass(frozen=True, kw_only=True, slots=True)
class GammaGamma:
    """Orders vary around a customer's mean by a gamma distribution, the means by an inverse one; p, q and gamma of the source."""

    shape: float
    mean_shape: float
    mean_scale: float

    def expected_mean(self, num_orders: Floats, mean_amount: Floats) -> Floats:
        """Mean order of each customer, given those that were seen; float64[n]."""
        seen = self.shape * num_orders
        return np.asarray(self.shape * (self.mean_scale + num_orders * mean_amount) / (seen + self.mean_shape - 1.0))

    def log_likelihood(self, num_orders: Floats, mean_amount: Floats) -> Floats:
        """Of each customer's mean order, which is above 0; float64[n]."""
        seen, q = self.shape * num_orders, self.mean_shape
        return np.asarray(
            gammaln(seen + q)
            - gammaln(seen)
            - gammaln(q)
            + q * np.log(self.mean_scale)
            + (seen - 1.0) * np.log(mean_amount)
            + seen * np.log(num_orders)
            - (seen + q) * np.log(self.mean_scale + num_orders * mean_amount)
        )


def fit_gamma_gamma(num_orders: Floats, mean_amount: Floats) -> GammaGamma:
    """Maximum likelihood on those who paid anything; the mean's distribution is held to have a mean (q above 1)."""
    paid = mean_amount > 0
    unit = float(mean_amount[paid].mean()) if paid.any() else 1.0
    count, mean = num_orders[paid], mean_amount[paid] / unit

    def model_of(logs: Floats) -> GammaGamma:
        shape, above_one, scale = np.exp(logs)
        return GammaGamma(shape=float(shape), mean_shape=1.0 + float(above_one), mean_scale=float(scale) * unit)

    def loss(logs: Floats) -> float:
        model = model_of(logs)
        own = GammaGamma(shape=model.shape, mean_shape=model.mean_shape, mean_scale=model.mean_scale / unit)
        return -float(own.log_likelihood(count, mean).mean())

    if not paid.any():
        return model_of(np.zeros(3))
    return model_of(minimize(loss, (1.0, 1.0, 0.0), method="L-BFGS-B", bounds=[(-_BOUND, _BOUND)] * 3).x)
