"""Scores from a bundle: survival curves, and what is read off them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.errors import InvalidArgumentError
from engine.partition import Partition
from kernels import integrate_survivals
from kernels.cpu import integrate_survivals as integrate_curves  # of one customer, whose arrays nobody need check
from training.bundles.bundle import Bundle
from training.inference import survival_curves

# Survival is open at both ends: 0 and 1 would claim to know. float32 next to 1 leaves room for it.
_LOWEST, _HIGHEST = 1e-6, 1.0 - 1e-6


def predict_survival(
    bundle: Bundle,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    *,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Calibrated P(no purchase in [as_of, as_of + edges_days[k])) of each query.

    customer_index : int64[n]; each customer has an event before the instant
    as_of_us       : int64[n], or one instant for all; events at or after it are not seen
    device         : "cpu" or "cuda"
    returns        : float32[n, num_bins], not increasing along the bins, inside (0, 1)
    raises         : RuntimeError as torch does where the device fails
    """
    instants = np.ascontiguousarray(np.broadcast_to(np.asarray(as_of_us, np.int64), customer_index.shape))
    survival = survival_curves(bundle.model, partition, activity, customer_index, instants, device=device)
    return clip_survival(survival)


def clip_survival(survival: NDArray[np.float64]) -> NDArray[np.float32]:
    """Inside (0, 1), as it is kept and served."""
    clipped = np.empty(survival.shape, np.float32)
    survival.clip(_LOWEST, _HIGHEST, out=clipped, casting="same_kind")  # no float64 copy of all customers in between
    return clipped


def churn_probability(
    edges_days: NDArray[np.float64], survival: NDArray[np.floating[Any]], horizon_days: float
) -> NDArray[np.float64]:
    """Survival at a horizon, log-linear inside a bin (a constant rate).

    survival : float[n, num_bins]
    returns  : float64[n]
    raises   : InvalidArgumentError, if the horizon is not in (0, last edge]
    """
    upper, share = _bin_of(edges_days, horizon_days)
    after = np.log(survival[:, upper].astype(np.float64))
    before = np.log(survival[:, upper - 1].astype(np.float64)) if upper > 0 else np.zeros(len(survival))
    return np.asarray(np.exp(before + share * (after - before)))


def churn_probability_of_one(edges_days: NDArray[np.float64], survival: NDArray[np.floating[Any]], horizon_days: float) -> float:
    """The same of one customer, from float[num_bins]."""
    upper, share = _bin_of(edges_days, horizon_days)
    after = math.log(survival[upper])
    before = math.log(survival[upper - 1]) if upper > 0 else 0.0
    return math.exp(before + share * (after - before))


def _bin_of(edges_days: NDArray[np.float64], horizon_days: float) -> tuple[int, float]:
    """The bin that a horizon lies in, and which share of it is before the horizon."""
    last_edge = float(edges_days[-1])
    if not 0 < horizon_days <= last_edge:
        raise InvalidArgumentError("horizon_days", f"found {horizon_days:g}, expected more than 0 and at most {last_edge:g}")
    upper = int(edges_days.searchsorted(horizon_days))
    start, stop = (0.0 if upper == 0 else float(edges_days[upper - 1])), float(edges_days[upper])
    return upper, (horizon_days - start) / (stop - start)


def expected_days_to_purchase(edges_days: NDArray[np.float64], survival: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Mean days to the next purchase, waits beyond the last edge counted as ending there (restricted mean).

    survival : float[n, num_bins]
    returns  : float64[n], in (0, last edge)
    """
    widths = np.diff(edges_days, prepend=0.0)
    return integrate_survivals(widths, np.ascontiguousarray(survival, np.float32))


def expected_days_of_one(widths_days: NDArray[np.float64], survival: NDArray[np.float32]) -> float:
    """The same of one customer: a bin's width and the survival at its end, [num_bins] of each."""
    return float(integrate_curves(widths_days, survival[None])[0])
