"""Training: from a history to a calibrated model, from what was known strictly before the as-of.

The last horizon before the as-of is held out of a first pass, which says how many epochs serve best and how the curves are to
be calibrated; a second pass with those epochs learns from everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from engine.activity import DailyActivity, measure_activity
from engine.errors import AsOfError
from engine.history import History
from engine.instants import DAY_US, format_instant
from engine.partition import Partition
from training.calibration import Calibration, fit_calibration
from training.config import TrainConfig
from training.evaluation import metrics
from training.fitting import fit_weights
from training.inference import FittedModel, survival_curves
from training.past import take_past
from training.predict import churn_probability
from training.queries import Queries, queries_at
from training.trained import TrainedModel, TrainProgress

# With fewer customers in the held-out window, or fewer of either outcome, nothing can be told from it.
_LEAST_CUSTOMERS = 50
_LEAST_OF_AN_OUTCOME = 5


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
    activity = measure_activity([past])
    held_out_us = as_of_us - config.horizon_days * DAY_US
    window = _Window(past, activity, config, held_out_us=held_out_us, as_of_us=as_of_us)
    earlier = take_past([past], before_us=held_out_us)
    _check_can_learn(earlier, window, config, held_out_us=held_out_us, as_of_us=as_of_us)

    epoch_losses: list[float] = []

    def after_trial_epoch(epoch: int, loss: float, model: FittedModel) -> None:
        epoch_losses.append(window.cross_entropy(model))
        _report(progress, epoch, 2 * config.num_epochs, loss, epoch_losses[-1])

    def after_final_epoch(epoch: int, loss: float, model: FittedModel) -> None:
        _report(progress, config.num_epochs + epoch, 2 * config.num_epochs, loss, None)

    with _one_thread():
        trial = fit_weights(earlier, activity, config, known_until_us=held_out_us, on_epoch=after_trial_epoch)
        calibration = window.calibrate(trial)
        validation = metrics(window.churned, calibration.apply(window.probability(trial)))
        model = fit_weights(past, activity, config, known_until_us=as_of_us, on_epoch=after_final_epoch)
    return TrainedModel(
        model=FittedModel(
            config=model.config,
            network=model.network,
            token_normaliser=model.token_normaliser,
            situation_normaliser=model.situation_normaliser,
            calibration=calibration,
        ),
        as_of_us=as_of_us,
        history_hash=history.manifest_hash,
        num_customers=past.num_customers,
        validation=validation,
    )


class _Window:
    """The last horizon before the as-of: who was eligible at its start, and what came of them."""

    def __init__(self, past: Partition, activity: DailyActivity, config: TrainConfig, *, held_out_us: int, as_of_us: int) -> None:
        self._past, self._activity, self._config = past, activity, config
        self.queries: Queries = queries_at(
            past, [held_out_us], known_until_us=as_of_us, active_within_days=config.active_within_days
        )
        self.churned: NDArray[np.bool_] = self.queries.wait_days >= config.horizon_days

    def probability(self, model: FittedModel) -> NDArray[np.float64]:
        """Churn within the horizon."""
        survival = survival_curves(model, self._past, self._activity, self.queries.customer_index, self.queries.as_of_us)
        return churn_probability(model.edges_days, survival, self._config.horizon_days)

    def cross_entropy(self, model: FittedModel) -> float:
        """Nats per customer."""
        promised = self.probability(model)
        return float(-np.where(self.churned, np.log(promised), np.log1p(-promised)).mean())

    def calibrate(self, model: FittedModel) -> Calibration:
        return fit_calibration(self.probability(model), self.churned)


def _check_can_learn(earlier: Partition, window: _Window, config: TrainConfig, *, held_out_us: int, as_of_us: int) -> None:
    found = "no event" if earlier.num_events == 0 else f"events from {format_instant(int(earlier.timestamp_us.min()))} on"
    needed = 2 * config.horizon_days
    span_days = 0.0 if earlier.num_events == 0 else (as_of_us - int(earlier.timestamp_us.min())) / DAY_US
    if span_days < needed:
        raise AsOfError(
            f"as-of {format_instant(as_of_us)}: found {found}, which is {math.floor(span_days)} days before it; expected at least "
            f"{needed}, twice the horizon: one to learn from and one to check with; choose a later as-of or a shorter horizon"
        )
    num_customers, num_churned = len(window.queries), int(window.churned.sum())
    if num_customers < _LEAST_CUSTOMERS or min(num_churned, num_customers - num_churned) < _LEAST_OF_AN_OUTCOME:
        raise AsOfError(
            f"as-of {format_instant(as_of_us)}: found {num_customers} customers active in the {config.active_within_days} days before "
            f"{format_instant(held_out_us)}, of whom {num_churned} did not buy in the next {config.horizon_days}; expected at least "
            f"{_LEAST_CUSTOMERS} customers and {_LEAST_OF_AN_OUTCOME} of either outcome; choose another as-of or horizon"
        )


def _report(
    progress: Callable[[TrainProgress], None] | None, epoch: int, num_epochs: int, loss: float, validation: float | None
) -> None:
    if progress is not None:
        progress(TrainProgress(epoch=epoch, num_epochs=num_epochs, loss=loss, validation=validation))


@contextmanager
def _one_thread() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
