"""All metrics of one model under many weightings of the customers at once: what a bootstrap asks for.

Customers are sorted by score once. A weighting then costs a few passes over arrays in that order, so that a thousand resamples of
thousands of customers take seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.evaluation.profit import ProfitConfig, expected_maximum_profit

NUM_CALIBRATION_GROUPS = 10
# Above this many distinct scores, neighbours are merged before the profit is taken: a threshold at every thousandth is enough.
_MOST_PROFIT_GROUPS = 1000
_NEWTON_STEPS = 25
Floats = NDArray[np.float64]


class Ranking:
    """Scores of one model and what came of the customers.

    churned, probability : bool[n], float64[n] in [0, 1]
    """

    def __init__(self, churned: NDArray[np.bool_], probability: Floats, profit: ProfitConfig | None = None) -> None:
        self._order = np.argsort(probability, kind="stable")
        self._churned = churned[self._order].astype(np.float64)
        self._probability = probability[self._order]
        self._profit = ProfitConfig() if profit is None else profit
        # The last row of each group of one score; no threshold lies inside a group.
        self._last = np.flatnonzero(np.append(np.diff(self._probability) > 0, True))
        num_groups = len(self._last)
        shown = np.unique(np.linspace(0, num_groups - 1, min(num_groups, _MOST_PROFIT_GROUPS)).round().astype(np.int64))
        self._profit_groups = shown
        bounded = np.clip(self._probability, 1e-15, 1.0 - 1e-15)
        self._squared_error = (self._probability - self._churned) ** 2
        self._surprise = -np.where(self._churned == 1.0, np.log(bounded), np.log1p(-bounded))
        self._logit = np.log(bounded) - np.log1p(-bounded)
        self._intercept, self._slope = self._fit_line()

    @property
    def num_customers(self) -> int:
        return len(self._order)

    def measure(self, weights: Floats) -> dict[str, Floats]:
        """Each metric under each weighting.

        weights : float64[num_weightings, n], whole numbers; the customers in the order in which they were given
        returns : by name, float64[num_weightings]; NaN where a weighting leaves nobody of an outcome
        """
        weight = weights[:, self._order]
        total = weight.sum(axis=1)
        upto = np.cumsum(weight, axis=1)
        churned_upto = np.cumsum(weight * self._churned, axis=1)
        groups, churned_groups = _from_zero(upto[:, self._last]), _from_zero(churned_upto[:, self._last])
        with np.errstate(invalid="ignore", divide="ignore"):
            intercept, slope = self._refit_line(weight)
            return {
                **_ranking_metrics(groups, churned_groups),
                "brier": weight @ self._squared_error / total,
                "log_loss": weight @ self._surprise / total,
                "ece": self._calibration_error(weight, upto),
                "calibration_slope": slope,
                "calibration_intercept": intercept,
                "top_decile_lift": _top_decile_lift(groups, churned_groups),
                "expected_maximum_profit": self._expected_profit(groups, churned_groups),
            }

    def _calibration_error(self, weight: Floats, upto: Floats) -> Floats:
        """Over groups of equal weight; a customer who falls on a border counts in part on either side."""
        missed_upto = _from_zero(np.cumsum(weight * (self._churned - self._probability), axis=1))
        upto = _from_zero(upto)
        errors = np.empty(len(weight))
        for row, total in enumerate(upto[:, -1]):
            num_groups = int(max(1, min(NUM_CALIBRATION_GROUPS, total)))
            whole, rest = divmod(int(total), num_groups)
            borders = np.cumsum([0] + [whole + (group < rest) for group in range(num_groups)])
            errors[row] = np.abs(np.diff(np.interp(borders, upto[row], missed_upto[row]))).sum() / total
        return errors

    def _expected_profit(self, groups: Floats, churned_groups: Floats) -> Floats:
        ends = np.concatenate(([0], self._profit_groups + 1))
        size, churned = np.diff(groups[:, ends], axis=1), np.diff(churned_groups[:, ends], axis=1)
        return expected_maximum_profit(churned, size - churned, self._profit)

    def _fit_line(self) -> tuple[float, float]:
        """Intercept and slope of the logistic regression of the outcome on the logit; NaN where there is none."""
        if np.ptp(self._logit) == 0.0:
            return np.nan, np.nan
        line = np.array([0.0, 1.0])
        everybody = np.ones((1, len(self._logit)))
        for _ in range(_NEWTON_STEPS):
            step = self._newton_step(everybody, line)[0]
            if not np.isfinite(step).all():  # the outcomes are separable, and the slope has no bound
                return np.nan, np.nan
            line = line + np.clip(step, -2.0, 2.0)
            if np.abs(step).max() < 1e-10:
                return float(line[0]), float(line[1])
        return np.nan, np.nan

    def _refit_line(self, weight: Floats) -> tuple[Floats, Floats]:
        """One Newton step from the line of all customers: the bootstrap's line up to an error of second order."""
        line = np.array([self._intercept, self._slope])
        if not np.isfinite(line).all():
            undefined = np.full(len(weight), np.nan)
            return undefined, undefined
        moved = line + self._newton_step(weight, line)
        return moved[:, 0], moved[:, 1]

    def _newton_step(self, weight: Floats, line: Floats) -> Floats:
        """float64[num_weightings, 2] to be added to intercept and slope."""
        x = self._logit
        expected = 1.0 / (1.0 + np.exp(-np.clip(line[0] + line[1] * x, -500.0, 500.0)))
        missed, spread = self._churned - expected, expected * (1.0 - expected)
        sums = weight @ np.stack([missed, missed * x, spread, spread * x, spread * x * x], axis=1)
        missed_sum, missed_x, spread_sum, spread_x, spread_xx = sums.T
        determinant = spread_sum * spread_xx - spread_x**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.stack(
                [
                    (spread_xx * missed_sum - spread_x * missed_x) / determinant,
                    (spread_sum * missed_x - spread_x * missed_sum) / determinant,
                ],
                axis=1,
            )


def _from_zero(cumulative: Floats) -> Floats:
    return np.concatenate([np.zeros((len(cumulative), 1)), cumulative], axis=1)


def _ranking_metrics(groups: Floats, churned_groups: Floats) -> dict[str, Floats]:
    """From cumulative weights by rising score, (num_weightings, num_groups + 1): all customers and churners."""
    churned, everybody = np.diff(churned_groups, axis=1), np.diff(groups, axis=1)
    retained = everybody - churned
    num_churned, num_all = churned_groups[:, -1], groups[:, -1]
    num_retained = num_all - num_churned
    retained_below = (groups - churned_groups)[:, :-1]
    above = num_all[:, None] - groups[:, :-1]
    churned_above = num_churned[:, None] - churned_groups[:, :-1]
    retained_upto = (groups - churned_groups)[:, 1:]
    precision = np.divide(churned_above, above, out=np.zeros_like(above), where=above > 0)
    precision_retained = np.divide(retained_upto, groups[:, 1:], out=np.zeros_like(above), where=groups[:, 1:] > 0)
    return {
        "auc": (churned * (retained_below + retained / 2)).sum(axis=1) / (num_churned * num_retained),
        "average_precision": (churned * precision).sum(axis=1) / num_churned,
        "average_precision_retained": (retained * precision_retained).sum(axis=1) / num_retained,
    }


def _top_decile_lift(groups: Floats, churned_groups: Floats) -> Floats:
    """Churners in the tenth most at risk over those of a tenth at random; a tie at the border counts with its mean."""
    total, num_churned = groups[:, -1], churned_groups[:, -1]
    size = np.maximum(1.0, np.round(total / 10))
    below = np.asarray(
        [np.interp(border, all_row, row) for border, all_row, row in zip(total - size, groups, churned_groups, strict=True)]
    )
    return np.asarray((num_churned - below) / size / (num_churned / total))
