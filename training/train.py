"""Training: from a history to a calibrated model, from what was known strictly before the as-of.

The last horizon before the as-of is held out of a first pass, which says how many epochs serve best and how the curves are to
be calibrated; a second pass with those epochs learns from everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity, measure_activity
from engine.errors import AsOfError
from engine.history import History
from engine.indicators import compute_indicators
from engine.instants import DAY_US, format_instant, next_midnight
from engine.labels import eligible
from engine.partition import Partition
from training.calibration import Calibration, fit_calibration
from training.config import TrainConfig
from training.evaluation.metrics import metrics
from training.fitting import fit_weights
from training.inference import FittedModel, survival_curves
from training.past import take_past
from training.predict import churn_probability
from training.queries import Queries, queries_at
from training.reference import Reference, measure_reference
from training.threads import one_torch_thread
from training.trained import HeldOut, TrainedModel, TrainProgress

# With fewer customers in the held-out window, or fewer of either outcome, nothing can be told from it.
_LEAST_CUSTOMERS = 50
_LEAST_OF_AN_OUTCOME = 5
# Of the cross entropy; between epochs of a training that does not overfit it wavers by half of this.
_CLEARLY_BETTER = 0.99
# However many customers it holds, a window is one draw of the season: from one window to the next the level moved by 0.14 in
# log hazard (standard deviation over five, two data sets), as if this many outcomes had been seen. Trusting each customer made
# the Brier score of the window after it worse by 0.002 on average.
_WORTH_OF_A_WINDOW = 200.0


def train(
    history: History,
    *,
    as_of_us: int,
    config: TrainConfig | None = None,
    progress: Callable[[TrainProgress], None] | None = None,
) -> TrainedModel:
    """Learn from the events strictly before an instant; nothing else of the history is looked at.

    progress : called after every epoch
    raises   : AsOfError where the past is too short, or too few customers were active in it, to learn from

    The same past, configuration and machine give the same bits. Runs on one thread: the steps are small, and threads that wait
    for each other cost more than they bring on a busy machine (measured: 20 times the wall time with two on two busy cores).
    """
    config = TrainConfig() if config is None else config
    history.check_as_of(as_of_us)
    past = take_past(history.partitions(), before_us=as_of_us, max_events=config.max_events, seed=config.seed)
    config = config.sized_for(past.num_customers)
    activity = measure_activity([past])
    held_out_us = as_of_us - config.horizon_days * DAY_US
    window = _Window(past, activity, config, held_out_us=held_out_us, as_of_us=as_of_us)
    earlier = take_past([past], before_us=held_out_us)
    _check_can_learn(earlier, window, config, first_us=int(past.timestamp_us.min()), held_out_us=held_out_us, as_of_us=as_of_us)

    promised: list[NDArray[np.float64]] = []

    def after_trial_epoch(epoch: int, loss: float, model: FittedModel) -> None:
        promised.append(window.probability(model))
        _report(progress, epoch, 2 * config.num_epochs, loss, window.cross_entropy(promised[-1]))

    num_epochs, calibration, validation, held_out = config.num_epochs, Calibration(), {}, None
    num_trial_epochs = config.num_epochs if window.is_telling else 0

    def after_final_epoch(epoch: int, loss: float, _: FittedModel) -> None:
        _report(progress, num_trial_epochs + epoch, num_trial_epochs + num_epochs, loss, None)

    with one_torch_thread():
        if window.is_telling:
            fit_weights(earlier, activity, config, known_until_us=held_out_us, on_epoch=after_trial_epoch)
            num_epochs = _choose_epochs([window.cross_entropy(probability) for probability in promised])
            calibration = window.calibrate(promised[num_epochs - 1])
            held_out = window.hold_out(calibration.apply(promised[num_epochs - 1]))
            validation = metrics(window.churned, held_out.probability)

        final_config = replace(config, num_epochs=num_epochs)
        raw = fit_weights(past, activity, final_config, known_until_us=as_of_us, on_epoch=after_final_epoch)
        model = replace(raw, calibration=calibration)
        reference = _measure_reference(model, past, activity, as_of_us, window.churned)
    return TrainedModel(
        model=model,
        as_of_us=as_of_us,
        first_event_us=int(past.timestamp_us.min()),
        history_hash=history.manifest_hash,
        num_customers=past.num_customers,
        num_events=past.num_events,
        validation=validation,
        reference=reference,
        held_out=held_out,
    )


def _measure_reference(
    model: FittedModel, past: Partition, activity: DailyActivity, as_of_us: int, churned: NDArray[np.bool_]
) -> Reference:
    """The customers eligible at the as-of, as the model to be handed over sees them."""
    customers = eligible(past, as_of_us, model.config.active_within_days)
    instants = np.full(len(customers), as_of_us, np.int64)
    survival = survival_curves(model, past, activity, customers, instants)
    probability = churn_probability(model.edges_days, survival, model.config.horizon_days)
    return measure_reference(compute_indicators(past, customers, instants), probability, churned)


class _Window:
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
        is_large = len(self.churned) >= _LEAST_CUSTOMERS
        return is_large and min(num_churned, len(self.churned) - num_churned) >= _LEAST_OF_AN_OUTCOME

    def probability(self, model: FittedModel) -> NDArray[np.float64]:
        """Churn within the horizon."""
        survival = survival_curves(model, self._past, self._activity, self.queries.customer_index, self.queries.as_of_us)
        return churn_probability(model.edges_days, survival, self._config.horizon_days)

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
        """The map of these probabilities to what happened, as far as one window can tell."""
        weight = min(1.0, _WORTH_OF_A_WINDOW / len(self.churned))
        return fit_calibration(probability, self.churned, np.full(len(self.churned), weight))


def _choose_epochs(losses: list[float]) -> int:
    """How many epochs to do: all of them, unless the held-out window was clearly better served by fewer."""
    best = int(np.argmin(losses))
    return best + 1 if losses[best] < _CLEARLY_BETTER * losses[-1] else len(losses)


def _check_can_learn(
    earlier: Partition, window: _Window, config: TrainConfig, *, first_us: int, held_out_us: int, as_of_us: int
) -> None:
    as_of, horizon_days = format_instant(as_of_us), config.horizon_days
    # What is known before the held-out window has to reach back a horizon at least, or no outcome is known to its end.
    num_days = (held_out_us - int(earlier.timestamp_us.min())) / DAY_US if earlier.num_events else 0.0
    if num_days < horizon_days:
        earliest = format_instant(next_midnight(first_us) + 2 * horizon_days * DAY_US)
        raise AsOfError(
            f"as-of {as_of}: found {math.floor(num_days)} days of events before {format_instant(held_out_us)}, where the last "
            f"horizon begins, expected at least {horizon_days}: one horizon to learn from and one to check with; choose an "
            f"as-of from {earliest} on, or a shorter horizon"
        )
    if len(window.queries) == 0:
        raise AsOfError(
            f"as-of {as_of}: found no customer with a purchase in the {config.active_within_days} days before "
            f"{format_instant(held_out_us)}, where the last horizon begins, expected some to learn from; choose another as-of, "
            "or a longer time to be active within"
        )


def _report(
    progress: Callable[[TrainProgress], None] | None, epoch: int, num_epochs: int, loss: float, validation: float | None
) -> None:
    if progress is not None:
        progress(TrainProgress(epoch=epoch, num_epochs=num_epochs, loss=loss, validation=validation))
