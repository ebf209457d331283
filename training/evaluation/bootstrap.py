"""95 % intervals by resampling customers, paired: every model is judged on the same resamples.

A customer is drawn with all rows that speak of them, so that several windows of one customer do not pass for several customers.

source : Efron & Tibshirani (1993), An Introduction to the Bootstrap, for percentile and basic intervals and for resampling whole
         clusters
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics import JUDGED_NAMES, measure_everybody
from training.evaluation.profit import ProfitConfig
from training.evaluation.weighted import Ranking

NUM_RESAMPLES = 1000
_TAILS = (2.5, 97.5)
# Weights at a time: a few arrays of this many float64 stay in the processor's cache.
_CHUNK = 1 << 18
# A distance is above 0 however good a model is, and resampling adds to it what sampling did before: the interval is mirrored at
# the estimate (the basic interval), which takes that off.
_MIRRORED = ("ece",)

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """Metrics of the models and how far to trust them.

    values     : by model and metric, on the customers as they are
    resampled  : by model and metric, float64[num_resamples], NaN where a resample does not define it
    """

    values: dict[str, dict[str, float]]
    resampled: dict[str, dict[str, NDArray[np.float64]]]

    def interval(self, model: str, metric: str) -> Interval:
        """95 %; NaN where nothing is defined."""
        value = self.values[model][metric]
        low, high = percentiles(self.resampled[model][metric])
        if metric in _MIRRORED:
            low, high = max(0.0, 2 * value - high), max(0.0, 2 * value - low)
        return low, high

    def difference(self, model: str, other: str, metric: str) -> tuple[float, Interval]:
        """Of the first model to the second, paired, with its 95 % interval."""
        value = self.values[model][metric] - self.values[other][metric]
        return value, percentiles(self.resampled[model][metric] - self.resampled[other][metric])


def estimate(
    churned: NDArray[np.bool_],
    probability: Mapping[str, NDArray[np.float64]],
    customer: NDArray[np.int64] | None = None,
    *,
    profit: ProfitConfig | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimates:
    """Judge every model on the same resamples.

    churned     : bool[n]
    probability : by model, float64[n]
    customer    : int64[n] from 0 up, which customer each row speaks of; each row its own by default
    """
    rankings = {name: Ranking(churned, scores, profit) for name, scores in probability.items()}
    customer = np.arange(len(churned)) if customer is None else customer
    random = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(1, len(churned)))
    pieces: dict[str, dict[str, list[NDArray[np.float64]]]] = {name: {metric: [] for metric in JUDGED_NAMES} for name in rankings}
    for start in range(0, num_resamples, rows):
        weights = draw_weights(customer, min(rows, num_resamples - start), random)
        for name, ranking in rankings.items():
            for metric, values in ranking.measure(weights).items():
                pieces[name][metric].append(values)
    return Estimates(
        values={name: measure_everybody(ranking) for name, ranking in rankings.items()},
        resampled={
            name: {metric: np.concatenate(found) if found else np.empty(0) for metric, found in by_metric.items()}
            for name, by_metric in pieces.items()
        },
    )


def draw_weights(customer: NDArray[np.int64], num_resamples: int, random: np.random.Generator) -> NDArray[np.float64]:
    """How often each row counts in each resample of as many customers as there are: float64[num_resamples, n]."""
    num_customers = int(customer.max()) + 1
    drawn = random.integers(0, num_customers, (num_resamples, num_customers))
    drawn += np.arange(num_resamples)[:, None] * num_customers
    counts = np.bincount(drawn.ravel(), minlength=num_resamples * num_customers).reshape(num_resamples, num_customers)
    return np.asarray(counts[:, customer], np.float64)


def percentiles(values: NDArray[np.float64]) -> Interval:
    """The 95 % interval of what resamples say; NaN where none says anything."""
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return np.nan, np.nan
    low, high = np.percentile(defined, _TAILS)
    return float(low), float(high)
