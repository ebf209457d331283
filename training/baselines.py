"""What any model has to beat: a constant, recency alone, and LightGBM on the indicators.

Each is fitted on instants before the as-of whose outcome was known before it, and asked about the same customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from engine.indicators import compute_summary
from engine.instants import DAY_US
from engine.partition import Partition
from kernels import SUMMARY_COLUMNS
from training.queries import queries_at

_RECENCY = SUMMARY_COLUMNS.index("recency_days")
_NUM_SEEDS = 3
_NUM_INSTANTS = 12
# Days between instants: closer ones repeat each other, and monthly ones leave a year's data with too few.
_STEP_DAYS = 14
_LIGHTGBM_ROUNDS = 200
_LIGHTGBM_PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PastOutcomes:
    """Indicators and outcomes at instants of the past.

    indicators : float32[n, len(SUMMARY_COLUMNS)]
    churned    : bool[n]
    """

    indicators: NDArray[np.float32]
    churned: NDArray[np.bool_]


def collect_outcomes(past: Partition, *, as_of_us: int, horizon_days: int, active_within_days: int) -> PastOutcomes:
    """Every eligible customer at up to twelve instants, the last a horizon before the as-of.

    past : only events strictly before as_of_us
    """
    last_us = as_of_us - horizon_days * DAY_US
    first_us = int(past.timestamp_us.min())
    instants = [last_us - step * _STEP_DAYS * DAY_US for step in range(_NUM_INSTANTS)]
    instants = [instant for instant in instants if instant > first_us]
    queries = queries_at(past, instants, known_until_us=as_of_us, active_within_days=active_within_days)
    return PastOutcomes(
        indicators=compute_summary(past, queries.customer_index, queries.as_of_us),
        churned=queries.wait_days >= horizon_days,
    )


def predict_constant(outcomes: PastOutcomes, indicators: NDArray[np.float32]) -> NDArray[np.float64]:
    """The base rate of the past, for everybody."""
    return np.full(len(indicators), outcomes.churned.mean())


def predict_by_recency(outcomes: PastOutcomes, indicators: NDArray[np.float32]) -> NDArray[np.float64]:
    """Churn by days since the last purchase, rising, as it was in the past."""
    curve = IsotonicRegression(out_of_bounds="clip", y_min=1e-4, y_max=1 - 1e-4)
    curve.fit(outcomes.indicators[:, _RECENCY], outcomes.churned)
    return np.asarray(curve.predict(indicators[:, _RECENCY]), np.float64)


def predict_by_lightgbm(outcomes: PastOutcomes, indicators: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gradient-boosted trees on all indicators, the mean of three seeds."""
    import lightgbm

    data = lightgbm.Dataset(outcomes.indicators, outcomes.churned, free_raw_data=False)
    predictions = [
        lightgbm.train({**_LIGHTGBM_PARAMETERS, "seed": seed}, data, num_boost_round=_LIGHTGBM_ROUNDS).predict(indicators)
        for seed in range(_NUM_SEEDS)
    ]
    return np.asarray(np.mean(predictions, axis=0), np.float64)
