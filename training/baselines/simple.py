"""Baselines of one number or none: the base rate, recency alone, frequency alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from engine.instants import DAY_US
from training.baselines.question import Question
from training.data.purchases import count_orders, summarise_purchases

# Nobody is certain: an outcome that the past did not show would cost an infinite log loss.
_LOWEST, _HIGHEST = 1e-4, 1.0 - 1e-4


def predict_constant(question: Question) -> NDArray[np.float64]:
    """The base rate of the past, for everybody."""
    return np.full(len(question.customer_index), question.outcomes.churned.mean())


def predict_by_recency(question: Question) -> NDArray[np.float64]:
    """Churn by days since the last purchase, rising, as it was in the past."""
    outcomes = question.outcomes
    known = _days_since_purchase(question, outcomes.customer_index, outcomes.as_of_us)
    asked = _days_since_purchase(question, question.customer_index, _same(question))
    return _monotone(known, outcomes.churned, asked, increasing=True)


def predict_by_frequency(question: Question) -> NDArray[np.float64]:
    """Churn by number of orders in the days that make a customer active, falling, as it was in the past."""
    outcomes = question.outcomes
    known = _recent_orders(question, outcomes.customer_index, outcomes.as_of_us)
    asked = _recent_orders(question, question.customer_index, _same(question))
    return _monotone(known, outcomes.churned, asked, increasing=False)


def _same(question: Question) -> NDArray[np.int64]:
    return np.full(len(question.customer_index), question.as_of_us, np.int64)


def _days_since_purchase(
    question: Question, customer_index: NDArray[np.int64], as_of_us: NDArray[np.int64]
) -> NDArray[np.float64]:
    return (as_of_us - summarise_purchases(question.past, customer_index, as_of_us).last_us) / DAY_US


def _recent_orders(question: Question, customer_index: NDArray[np.int64], as_of_us: NDArray[np.int64]) -> NDArray[np.float64]:
    since_us = as_of_us - question.active_within_days * DAY_US
    return count_orders(question.past, customer_index, as_of_us, since_us).astype(np.float64)


def _monotone(
    known: NDArray[np.float64], churned: NDArray[np.bool_], asked: NDArray[np.float64], *, increasing: bool
) -> NDArray[np.float64]:
    curve = IsotonicRegression(increasing=increasing, out_of_bounds="clip", y_min=_LOWEST, y_max=_HIGHEST)
    curve.fit(known, churned)
    return np.asarray(curve.predict(asked), np.float64)
