"""Logistic regression on the indicators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.baselines.question import Question
from training.baselines.simple import predict_constant
from training.network.tokens import signed_log

# Of the ridge: indicators of overlapping windows say much the same, and unshrunk weights would play them off against each other.
_INVERSE_PENALTY = 0.1
_MOST_ITERATIONS = 500


def predict_by_logistic_regression(question: Question) -> NDArray[np.float64]:
    """Signed logarithms of the indicators, standardised; what is not defined takes the median and a flag of its own."""
    if (
        question.outcomes.churned.all() or not question.outcomes.churned.any()
    ):  # nothing to tell apart in the past: the base rate is all there is
        return predict_constant(question)
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MOST_ITERATIONS),
    )
    model.fit(_inputs(question.outcomes.indicators), question.outcomes.churned)
    return np.asarray(model.predict_proba(_inputs(question.indicators))[:, 1], np.float64)


def _inputs(indicators: NDArray[np.float32]) -> NDArray[np.float64]:
    values = signed_log(indicators.astype(np.float64))
    values[~np.isfinite(values)] = np.nan
    return values
