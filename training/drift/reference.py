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
    indicators    : by column, of those customers, as `as_compared` gives them
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
    compared = as_compared(indicators, log_days=log_days)
    return Reference(
        num_customers=len(probability),
        log_days=log_days,
        indicators={name: fit_histogram(compared[:, column]) for column, name in enumerate(INDICATOR_COLUMNS)},
        score=fit_histogram(probability),
        num_outcomes=len(churned),
        churn_rate=float(churned.mean()),
    )


def as_compared(indicators: NDArray[np.float32], *, log_days: float) -> NDArray[np.float32]:
    """Indicators as histograms hold them: of the customers then and of those now, by the same log's age.

    A log that got older moves what looks at all of the past (gaps, tenure) and what needs a window before its window (changes),
    if it is not looked at as it was: both sides see the last `log_days` days alone, as if there were no more. Totals over more
    days than these are scaled up to them, as the model sees them, and tenure counts up to half of them: who was there at the
    beginning is all one.

    indicators : float32[n, NUM_COLUMNS], of a log that is, or is taken to be, so old
    log_days   : age of the reference's log at its as-of
    """
    compared: NDArray[np.float32] = indicators * np.maximum(_TOTAL_DAYS / max(log_days, SHORTEST_LOG_DAYS), 1.0).astype(
        np.float32
    )
    compared[:, _TENURE] = np.minimum(compared[:, _TENURE], np.float32(log_days / 2))
    return compared


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
