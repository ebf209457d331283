"""The held-out window: the last horizon before the as-of, and how well a model foresaw it that had not seen it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.partition import Partition
from training.config import TrainConfig
from training.data.queries import Queries, queries_at
from training.inference import FittedModel, survival_curves
from training.network.calibration import LEVEL_ALONE, LEVEL_FREE, SLOPE_FIXED, Calibration, fit_calibration
from training.predict import churn_probability
from training.trained import HeldOut

# With fewer customers in the held-out window, or fewer of either outcome, nothing can be told from it.
LEAST_CUSTOMERS = 50
LEAST_OF_AN_OUTCOME = 5
# However many customers it holds, a window is one draw of the season: from one window to the next the level moved by 0.14 in
# log hazard (standard deviation over five, two data sets), as if this many outcomes had been seen. Trusting each customer made
# the Brier score of the window after it worse by 0.002 on average.
_WORTH_OF_A_WINDOW = 200.0


class Window:
    """The last horizon before the as-of: who was eligible at its start, and what came of them."""

    def __init__(self, past: Partition, activity: DailyActivity, config: TrainConfig, *, held_out_us: int, as_of_us: int) -> None:
        self._past, self._activity, self._config, self._held_out_us = past, activity, config, held_out_us
        self.queries: Queries = queries_at(
            past, [held_out_us], known_until_us=as_of_us, active_within_days=config.active_within_days
        )
        self.churned: NDArray[np.bool_] = self.queries.wait_days >= config.horizon_days

    @property
    def is_telling(self) -> bool:
        """Whether epochs and calibration can be chosen on it; a smaller chain is learnt from as it is, by the defaults."""
        num_churned = int(self.churned.sum())
        is_large = len(self.churned) >= LEAST_CUSTOMERS
        return is_large and min(num_churned, len(self.churned) - num_churned) >= LEAST_OF_AN_OUTCOME

    def probability(self, model: FittedModel) -> NDArray[np.float64]:
        """Churn within the horizon."""
        survival = survival_curves(model, self._past, self._activity, self.queries.customer_index, self.queries.as_of_us)
        return churn_probability(model.edges_days, survival, self._config.horizon_days)

    def loss(self, model: FittedModel) -> float:
        """Cross entropy of its promises with the level set right, nats per customer."""
        return self.levelled_cross_entropy(self.probability(model))

    def levelled_cross_entropy(self, probability: NDArray[np.float64]) -> float:
        """Cross entropy after the one shift of all log hazards that serves the window best, nats per customer.

        The level of a single window is chance: with it, epochs and settings were preferred for promising the churn that this
        season happened to have, at the price of ranking worse in the next (docs/log.md).
        """
        return self.cross_entropy(fit_calibration(probability, self.churned, prior=LEVEL_ALONE).apply(probability))

    def hold_out(self, probability: NDArray[np.float64]) -> HeldOut:
        """These probabilities, by customer."""
        return HeldOut(
            as_of_us=self._held_out_us,
            customer_ids=self._past.customer_ids.take(pa.array(self.queries.customer_index)),
            probability=probability,
        )

    def cross_entropy(self, probability: NDArray[np.float64]) -> float:
        """Nats per customer."""
        return float(-np.where(self.churned, np.log(probability), np.log1p(-probability)).mean())

    def calibrate(self, probability: NDArray[np.float64]) -> Calibration:
        """The map of these probabilities to what happened, as far as one window can tell.

        The level of a window is chance for the most part, and so is that its customers differ less than promised. That they
        differ more comes back in the next window: averaged weights, dropout and few epochs make a model timid, above all where
        the past is short. So the slope is believed with all outcomes where it is above 1 (docs/log.md).
        """
        weight = np.full(len(self.churned), min(1.0, _WORTH_OF_A_WINDOW / len(self.churned)))
        slope = fit_calibration(probability, self.churned, prior=LEVEL_FREE).slope
        if slope <= 1.0:
            return fit_calibration(probability, self.churned, weight)
        sharpened = Calibration.around(float(probability.mean()), slope)
        return sharpened.then(fit_calibration(sharpened.apply(probability), self.churned, weight, prior=SLOPE_FIXED))
