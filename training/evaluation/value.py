"""Metrics of expected spend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

VALUE_METRIC_NAMES: tuple[str, ...] = ("mean_absolute_error", "root_mean_square_error", "spearman", "total_ratio")


def value_metrics(spent: NDArray[np.float64], expected: NDArray[np.float64]) -> dict[str, float]:
    """The metrics of VALUE_METRIC_NAMES; NaN where one is not defined.

    spent, expected : float64[n], what each customer spent and was expected to

    `spearman` is the rank correlation, ties sharing their mean rank. `total_ratio` is what all together were expected to spend
    over what they spent: 1 where the level is right.
    """
    error = expected - spent
    total = float(spent.sum())
    return {
        "mean_absolute_error": float(np.abs(error).mean()) if len(error) else np.nan,
        "root_mean_square_error": float(np.sqrt((error**2).mean())) if len(error) else np.nan,
        "spearman": _spearman(spent, expected),
        "total_ratio": float(expected.sum()) / total if total > 0 else np.nan,
    }


def _spearman(spent: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    ranks = [rankdata(values) for values in (spent, expected)]
    if len(spent) < 2 or any(np.ptp(rank) == 0 for rank in ranks):
        return np.nan
    return float(np.corrcoef(*ranks)[0, 1])
