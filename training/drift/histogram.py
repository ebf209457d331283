"""Histograms that outlive the customers they were counted over, and how far two of them are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError

_MOST_BINS = 10
# With fewer values in a bin chance alone drifts: the index of two samples of one distribution is about
# (bins - 1) (1 / n + 1 / m). It also keeps an edge from being the value of one of a handful of customers.
_LEAST_IN_BIN = 20
# Stands in for an empty bin, where the logarithm has no value.
_LEAST_SHARE = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Shares of values between the deciles of the values it was fitted on.

    edges  : ascending; bin i is (edges[i - 1], edges[i]], the first is open below, the last above
    shares : of the len(edges) + 1 bins, and last of what was not known (NaN, infinite); they add up to 1
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(not later > earlier for earlier, later in pairwise(self.edges)) or not all(map(math.isfinite, self.edges)):
            raise InvalidArgumentError("edges", f"found {self.edges}, expected ascending numbers")
        is_whole = len(self.shares) == len(self.edges) + 2 and all(0 <= share <= 1 for share in self.shares)
        if not is_whole or abs(sum(self.shares) - 1) > 1e-6:
            raise InvalidArgumentError(
                "shares", f"found {self.shares}, expected {len(self.edges) + 2} numbers from 0 up that add up to 1"
            )

    @property
    def unknown_share(self) -> float:
        return self.shares[-1]

    def shares_of(self, values: NDArray[np.floating[Any]]) -> tuple[float, ...]:
        """The shares of other values in the same bins.

        values : float[n], n > 0
        """
        return _shares(self.edges, values)


def fit_histogram(values: NDArray[np.floating[Any]]) -> Histogram:
    """Up to ten bins that hold about as many values each; fewer where values are few or tied.

    values : float[n], n > 0; NaN and infinite count as not known
    """
    known = values[np.isfinite(values)].astype(np.float64)
    num_bins = min(_MOST_BINS, max(2, len(known) // _LEAST_IN_BIN))
    quantiles = np.linspace(0, 1, num_bins + 1)[1:-1]
    # A value that occurs, never one between two: float32 values compare the same after the way through JSON.
    edges = np.unique(np.quantile(known, quantiles, method="inverted_cdf")) if len(known) else np.empty(0)
    found = tuple(map(float, edges))
    return Histogram(edges=found, shares=_shares(found, values))


def stability_index(expected: tuple[float, ...], found: tuple[float, ...]) -> float:
    """The population stability index: the sum of (found - expected) ln(found / expected) over the bins.

    0 where the shares are the same, else above; the same both ways round. Below 0.1 is taken as stable, above 0.25 as another
    population. An empty bin counts as a share of 1e-4.
    source : Siddiqi (2006), Credit Risk Scorecards; it is Jeffreys' divergence of the two
    """
    if len(expected) != len(found):
        raise InvalidArgumentError("shares", f"found {len(found)}, expected as many as in the reference: {len(expected)}")
    q, p = np.maximum(expected, _LEAST_SHARE), np.maximum(found, _LEAST_SHARE)
    return float(np.sum((p - q) * np.log(p / q)))


def _shares(edges: tuple[float, ...], values: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    known = values[np.isfinite(values)].astype(np.float64)
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return tuple(float(count) / len(values) for count in (*counts, len(values) - len(known)))
