"""The curves behind the metrics, as points to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

# No screen shows more.
_MOST_POINTS = 400
# Standard normal quantile of a 95 % interval.
_Z = 1.959964
Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def roc_points(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> Points:
    """Share of those who stayed that is called in vain, and share of churners found, by falling threshold."""
    false_positive, true_positive, _ = roc_curve(churned, probability)
    return _thin(false_positive, true_positive)


def precision_recall_points(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> Points:
    """Share of churners found and share of the called who churned, by rising recall."""
    precision, recall, _ = precision_recall_curve(churned, probability)
    # The last point, precision 1 at recall 0, is a convention and no threshold.
    return _thin(recall[:-1][::-1], precision[:-1][::-1])


def gain_points(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> Points:
    """Share of customers contacted, worst first, and share of churners among them; ties count with their mean."""
    order = np.argsort(-probability, kind="stable")
    score, found = probability[order], np.cumsum(churned[order])
    last = np.flatnonzero(np.append(np.diff(score) != 0, True))
    contacted = np.concatenate(([0.0], (last + 1) / len(churned)))
    return _thin(contacted, np.concatenate(([0.0], found[last] / max(int(churned.sum()), 1))))


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationGroups:
    """Customers in groups of equal size by promised probability; float64[num_groups] each.

    low, high : 95 % interval of the happened share (Wilson 1927)
    """

    promised: NDArray[np.float64]
    happened: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def calibration_groups(churned: NDArray[np.bool_], probability: NDArray[np.float64], num_groups: int = 10) -> CalibrationGroups:
    """See CalibrationGroups."""
    groups = np.array_split(np.argsort(probability, kind="stable"), min(num_groups, len(churned)))
    size = np.asarray([len(group) for group in groups], np.float64)
    happened = np.asarray([churned[group].mean() for group in groups], np.float64)
    middle = (happened + _Z**2 / (2 * size)) / (1 + _Z**2 / size)
    reach = _Z / (1 + _Z**2 / size) * np.sqrt(happened * (1 - happened) / size + _Z**2 / (4 * size**2))
    return CalibrationGroups(
        promised=np.asarray([probability[group].mean() for group in groups], np.float64),
        happened=happened,
        low=middle - reach,
        high=middle + reach,
    )


def decile_lift(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Churn of each tenth of the customers, worst first, over that of all: float64[up to 10]."""
    groups = np.array_split(np.argsort(-probability, kind="stable"), min(10, len(churned)))
    return np.asarray([churned[group].mean() / churned.mean() for group in groups], np.float64)


def _thin(x: NDArray[np.float64], y: NDArray[np.float64]) -> Points:
    if len(x) <= _MOST_POINTS:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, _MOST_POINTS).round().astype(np.int64))
    return x[kept], y[kept]
