"""Calibration of whole survival curves on outcomes that the weights have not seen.

The cumulative hazard H(t) becomes exp(shift + slope log H(t)): Platt scaling on the complementary log-log scale. With a
positive slope the curve of a customer stays monotone and the order of customers at every horizon stays as it was.

source : Platt (1999); Menon et al. (2012) for monotone recalibration leaving the ranking alone
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels import calibrate_hazards

LOWEST_HAZARD, HIGHEST_HAZARD = 1e-7, -math.log(1e-30)
_LOWEST_SLOPE, _HIGHEST_SLOPE = 0.25, 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """log H' = shift + slope * log H; the identity as it stands."""

    shift: float = 0.0
    slope: float = 1.0

    def apply(self, survival: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated survival; any shape, values in [0, 1]."""
        return self.apply_to_hazard(np.ascontiguousarray(-np.log(np.clip(survival, 1e-30, 1.0))))

    def apply_to_hazard(self, hazard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated survival from cumulative hazards -log S, contiguous and of any shape, which are overwritten by it."""
        calibrate_hazards(hazard, LOWEST_HAZARD, HIGHEST_HAZARD, self.shift, self.slope)
        return hazard

    def then(self, other: Calibration) -> Calibration:
        """This one, and the other on what it gives."""
        return Calibration(shift=other.shift + other.slope * self.shift, slope=other.slope * self.slope)

    @classmethod
    def around(cls, probability: float, slope: float) -> Calibration:
        """The one of this slope that leaves a probability as it is."""
        hazard = max(-math.log(max(probability, 1e-30)), LOWEST_HAZARD)
        return cls(shift=(1.0 - slope) * math.log(hazard), slope=slope)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """How sure one is of the identity beforehand: precisions of the normal prior of shift and slope around it."""

    shift: float
    slope: float


# Standard deviations of 0.05 and 0.08.
USUAL_PRIOR = Prior(shift=400.0, slope=160.0)
# Nothing is known of the level, and the slope stays as it is.
LEVEL_ALONE = Prior(shift=1e-6, slope=1e12)
# Nothing is known of the level, the slope as usual; and the level as usual, the slope as it is.
LEVEL_FREE = Prior(shift=1e-6, slope=USUAL_PRIOR.slope)
SLOPE_FIXED = Prior(shift=USUAL_PRIOR.shift, slope=1e12)


def fit_calibration(
    survival: NDArray[np.float64],
    churned: NDArray[np.bool_],
    weight: NDArray[np.float64] | None = None,
    *,
    prior: Prior = USUAL_PRIOR,
) -> Calibration:
    """Maximum a posteriori shift and slope.

    survival : float64[n]  predicted probability that no purchase happens within the horizon of each outcome
    churned  : bool[n]     whether none happened
    weight   : float64[n]  outcomes' worth of evidence of each; 1 by default (less where outcomes overlap)

    Newton's method with step halving; the posterior of two parameters is smooth and needs few steps.
    """
    if len(survival) == 0:
        return Calibration()
    log_hazard = np.log(np.maximum(-np.log(np.clip(survival, 1e-30, 1.0)), LOWEST_HAZARD))
    weights = np.ones(len(survival)) if weight is None else weight
    design = np.stack([np.ones(len(survival)), log_hazard], axis=1)  # (n, 2)
    start = np.array([0.0, 1.0])
    precision = np.array([prior.shift, prior.slope])

    def objective(parameters: NDArray[np.float64]) -> float:
        hazard = np.exp(np.clip(design @ parameters, -30.0, 30.0))
        loss = np.where(churned, hazard, -np.log(-np.expm1(-np.maximum(hazard, LOWEST_HAZARD))))
        return float(weights @ loss + 0.5 * precision @ (parameters - start) ** 2)

    current, value = start, objective(start)
    for _ in range(50):
        hazard = np.exp(np.clip(design @ current, -30.0, 30.0))
        # Of the loss by log H; the expected (Fisher) curvature is positive everywhere, the observed one is not.
        odds = hazard / np.expm1(np.maximum(hazard, LOWEST_HAZARD))
        slope = weights * np.where(churned, hazard, -odds)
        curvature = weights * hazard * odds
        gradient = design.T @ slope + precision * (current - start)
        hessian = (design * curvature[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        scale = 1.0
        while scale > 1e-6 and objective(current - scale * step) > value:
            scale /= 2
        candidate = current - scale * step
        improved = value - objective(candidate)
        if improved <= 0:
            break
        current, value = candidate, value - improved
        if improved < 1e-9 * max(1.0, abs(value)):
            break
    return Calibration(shift=float(current[0]), slope=float(np.clip(current[1], _LOWEST_SLOPE, _HIGHEST_SLOPE)))
