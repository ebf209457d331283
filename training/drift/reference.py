"""The reference: what the chain looked like when a model was trained, in histograms; drift is measured from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.indicators import INDICATOR_COLUMNS
from training.drift.histogram import Histogram, fit_histogram


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Shares of customers, none of whom can be told from it.

    num_customers : eligible at the as-of
    indicators    : by column, of those customers
    score         : of their churn probabilities at the model's horizon
    num_outcomes  : customers eligible a horizon before the as-of, whose outcomes were the newest that were known
    churn_rate    : of those; NaN is not possible, training refuses to go without any
    """

    num_customers: int
    indicators: Mapping[str, Histogram]
    score: Histogram
    num_outcomes: int
    churn_rate: float


def measure_reference(indicators: NDArray[np.float32], probability: NDArray[np.float64], churned: NDArray[np.bool_]) -> Reference:
    """Count the customers eligible at the as-of, and the outcomes of the horizon before it.

    indicators  : float32[n, NUM_COLUMNS]
    probability : float64[n]
    churned     : bool[m], m > 0
    """
    return Reference(
        num_customers=len(probability),
        indicators={name: fit_histogram(indicators[:, column]) for column, name in enumerate(INDICATOR_COLUMNS)},
        score=fit_histogram(probability),
        num_outcomes=len(churned),
        churn_rate=float(churned.mean()),
    )


def describe_reference(reference: Reference) -> dict[str, Any]:
    """As JSON types."""
    return {
        "num_customers": reference.num_customers,
        "indicators": {name: _describe(histogram) for name, histogram in reference.indicators.items()},
        "score": _describe(reference.score),
        "num_outcomes": reference.num_outcomes,
        "churn_rate": reference.churn_rate,
    }


def parse_reference(document: Mapping[str, Any]) -> Reference:
    """The way back.

    raises : KeyError, TypeError, InvalidArgumentError for what is no such document
    """
    return Reference(
        num_customers=document["num_customers"],
        indicators={name: _parse(entry) for name, entry in document["indicators"].items()},
        score=_parse(document["score"]),
        num_outcomes=document["num_outcomes"],
        churn_rate=document["churn_rate"],
    )


def _describe(histogram: Histogram) -> dict[str, list[float]]:
    return {"edges": list(histogram.edges), "shares": list(histogram.shares)}


def _parse(entry: Mapping[str, Any]) -> Histogram:
    return Histogram(edges=tuple(entry["edges"]), shares=tuple(entry["shares"]))
