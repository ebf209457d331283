"""MBG/NBD: customers buy at gamma-distributed rates and may leave after any purchase, the first one included.

BG/NBD's usual score, P(alive), is 1 for whoever bought once; here the first purchase may be the last, and what is asked is the
probability that nothing is bought within the horizon. Only times of purchases are used; several on one UTC day count once, as is
usual for these models.

source : Batislam, Denizel & Filiztekin (2007), Empirical validation and comparison of models for customer base analysis,
         International Journal of Research in Marketing 24(3); Fader, Hardie & Lee (2005), Marketing Science 24(2), for the
         model that it modifies
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln

from engine.instants import DAY_US
from engine.partition import Partition
from training.baselines.question import Question

Floats = NDArray[np.float64]
# Logarithms of the parameters, time counted in the mean time of observation: beyond these the likelihood is flat.
_BOUND = 8.0
_STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.0, -1.0, -1.0, 1.0))
# So many customers pin four parameters down.
_MOST_CUSTOMERS = 50_000
_LOWEST = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Histories:
    """What the model sees of each customer.

    num_repeats   : float64[n]  days with a purchase after the first
    last_days     : float64[n]  from the first purchase to the last
    observed_days : float64[n]  from the first purchase to the instant
    """

    num_repeats: Floats
    last_days: Floats
    observed_days: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class MbgNbd:
    """Fitted parameters; rates are per day.

    shape, scale_days : of the gamma distribution of rates (r and alpha of the source)
    leave, stay       : of the beta distribution of the chance to leave after a purchase (a and b)
    """

    shape: float
    scale_days: float
    leave: float
    stay: float

    def log_likelihood(self, seen: Histories) -> Floats:
        """Of each customer; float64[n]."""
        alive, gone = self._log_parts(seen)
        return np.logaddexp(alive, gone)

    def alive(self, seen: Histories) -> Floats:
        """P(has not left by the instant); float64[n]."""
        alive, gone = self._log_parts(seen)
        return np.asarray(expit(alive - gone), np.float64)

    def no_purchase(self, seen: Histories, horizon_days: float) -> Floats:
        """P(no purchase in the horizon after the instant): gone, or alive and silent; float64[n]."""
        until = self.scale_days + seen.observed_days
        silent = (until / (until + horizon_days)) ** (self.shape + seen.num_repeats)
        return np.asarray(1.0 - self.alive(seen) * (1.0 - silent), np.float64)

    def _log_parts(self, seen: Histories) -> tuple[Floats, Floats]:
        """Log likelihood of the history and being alive at the instant, and of the history and having left after it."""
        num, r, scale = seen.num_repeats, self.shape, self.scale_days
        both = gammaln(r + num) - gammaln(r) + r * np.log(scale) - betaln(self.leave, self.stay)
        alive = both - (r + num) * np.log(scale + seen.observed_days) + betaln(self.leave, self.stay + num + 1.0)
        gone = both - (r + num) * np.log(scale + seen.last_days) + betaln(self.leave + 1.0, self.stay + num)
        return alive, gone


def fit_mbg_nbd(seen: Histories) -> MbgNbd:
    """Maximum likelihood, from the best of two starts."""
    if len(seen.num_repeats) > _MOST_CUSTOMERS:
        kept = np.random.default_rng(0).choice(len(seen.num_repeats), _MOST_CUSTOMERS, replace=False)
        seen = Histories(
            num_repeats=seen.num_repeats[kept], last_days=seen.last_days[kept], observed_days=seen.observed_days[kept]
        )
    unit_days = max(float(seen.observed_days.mean()), 1.0)

    def model_of(log_parameters: Floats) -> MbgNbd:
        shape, scale, leave, stay = np.exp(log_parameters)
        return MbgNbd(shape=float(shape), scale_days=float(scale) * unit_days, leave=float(leave), stay=float(stay))

    def loss(log_parameters: Floats) -> float:
        return -float(model_of(log_parameters).log_likelihood(seen).mean())

    found = [minimize(loss, start, method="L-BFGS-B", bounds=[(-_BOUND, _BOUND)] * 4) for start in _STARTS]
    return model_of(min(found, key=lambda result: float(result.fun)).x)


def see_histories(past: Partition, customer_index: NDArray[np.int64], as_of_us: int) -> Histories:
    """Histories of customers who bought, from a past that ends before the instant."""
    rows = np.flatnonzero(past.is_purchase)
    owner = np.searchsorted(past.offsets, rows, side="right") - 1
    day = past.timestamp_us[rows] // DAY_US
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = (day[1:] != day[:-1]) | (owner[1:] != owner[:-1])
    owner, time_us = owner[is_new], past.timestamp_us[rows[is_new]]
    first = np.searchsorted(owner, customer_index)
    stop = np.searchsorted(owner, customer_index, side="right")
    first_us = time_us[first]
    return Histories(
        num_repeats=(stop - first - 1).astype(np.float64),
        last_days=(time_us[stop - 1] - first_us) / DAY_US,
        observed_days=(as_of_us - first_us) / DAY_US,
    )


def predict_by_mbg_nbd(question: Question) -> Floats:
    """Fitted on every customer who ever bought, asked about the eligible ones; nothing is calibrated afterwards."""
    past = question.past
    bought = np.unique(np.searchsorted(past.offsets, np.flatnonzero(past.is_purchase), side="right") - 1)
    model = fit_mbg_nbd(see_histories(past, bought, question.as_of_us))
    asked = see_histories(past, question.customer_index, question.as_of_us)
    return np.clip(model.no_purchase(asked, question.horizon_days), _LOWEST, 1.0 - _LOWEST)
