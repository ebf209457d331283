"""The reference: what the chain looked like when a model was trained, in histograms; drift is measured from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.indicators import INDICATOR_COLUMNS, NUM_COLUMNS
from kernels import SHORTEST_LOG_DAYS, TOTAL_DAYS
from training.drift.histogram import Histogram, fit_histogram

_TOTAL_DAYS = np.array(TOTAL_DAYS[:NUM_COLUMNS])
_TENURE = INDICATOR_COLUMNS.index("tenure_days")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Shares of customers, none of whom can be told from it.

    num_customers : eligible at the as-of
    log_days      : how old the log was at the as-of
    indicators    : by column, of those customers, freed from the log's age
    score         : of their churn probabilities at the model's horizon
    num_outcomes  : customers eligible a horizon before the as-of, whose outcomes were the newest that were known
    churn_rate    : of those; NaN is not possible, training refuses to go without any
    """

    num_customers: int
    log_days: float
    indicators: Mapping[str, Histogram]
    score: Histogram
    num_outcomes: int
    churn_rate: float


def measure_reference(
    indicators: NDArray[np.float32], probability: NDArray[np.float64], churned: NDArray[np.bool_], *, log_days: float
) -> Reference:
    """Count the customers eligible at the as-of, and the outcomes of the horizon before it.

    indicators  : float32[n, NUM_COLUMNS]
    probability : float64[n]
    churned     : bool[m], m > 0
    log_days    : from the beginning of the log to the as-of
    """
    freed = free_of_age(indicators, log_days=log_days, reference_days=log_days)
    return Reference(
        num_customers=len(probability),
        log_days=log_days,
        indicators={name: fit_histogram(freed[:, column]) for column, name in enumerate(INDICATOR_COLUMNS)},
        score=fit_histogram(probability),
        num_outcomes=len(churned),
        churn_rate=float(churned.mean()),
    )


def free_of_age(indicators: NDArray[np.float32], *, log_days: float, reference_days: float) -> NDArray[np.float32]:
    """Indicators without what moves in them by itself as the log gets older.

    A total over more days than the log has is scaled up to them, as the model sees it. Tenure counts up to half the age that the
    reference's log had: who was there at the beginning only gets older, and how many came since is what can be compared.

    indicators     : float32[n, NUM_COLUMNS]
    log_days       : from the beginning of the log to the instant that they are of
    reference_days : ... to that of the reference
    """
    freed: NDArray[np.float32] = indicators * np.maximum(_TOTAL_DAYS / max(log_days, SHORTEST_LOG_DAYS), 1.0).astype(np.float32)
    freed[:, _TENURE] = np.minimum(freed[:, _TENURE], np.float32(reference_days / 2))
    return freed


def describe_reference(reference: Reference) -> dict[str, Any]:
    """As JSON types."""
    return {
        "num_customers": reference.num_customers,
        "log_days": reference.log_days,
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
        log_days=float(document["log_days"]),
        indicators={name: _parse(entry) for name, entry in document["indicators"].items()},
        score=_parse(document["score"]),
        num_outcomes=document["num_outcomes"],
        churn_rate=document["churn_rate"],
    )


def _describe(histogram: Histogram) -> dict[str, list[float]]:
    return {"edges": list(histogram.edges), "shares": list(histogram.shares)}


def _parse(entry: Mapping[str, Any]) -> Histogram:
    return Histogram(edges=tuple(entry["edges"]), shares=tuple(entry["shares"]))
