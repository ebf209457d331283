"""Training: from a history to a calibrated model, from what was known strictly before the as-of.

The last horizon before the as-of is held out of a first pass, which says how many epochs serve best and how the curves are to
be calibrated; a second pass with those epochs learns from everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.history import History
from engine.indicators import compute_indicators
from engine.labels import eligible
from engine.partition import Partition
from training.calibration import Calibration
from training.config import TrainConfig
from training.evaluation.metrics import metrics
from training.fitting import fit_weights
from training.inference import FittedModel, survival_curves
from training.predict import churn_probability
from training.reference import Reference, measure_reference
from training.threads import one_torch_thread
from training.trained import TrainedModel, TrainProgress
from training.trial_pass import prepare, run_trial_pass


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
    prepared = prepare(history, as_of_us=as_of_us, config=config)
    past, activity, config, window = prepared.past, prepared.activity, prepared.config, prepared.window
    num_epochs, calibration, validation, held_out = config.num_epochs, Calibration(), {}, None
    num_trial_epochs = config.num_epochs if window.is_telling else 0

    def after_trial_epoch(epoch: int, loss: float, cross_entropy: float) -> bool:
        _report(progress, epoch, 2 * num_trial_epochs, loss, cross_entropy)
        return True

    def after_final_epoch(epoch: int, loss: float, _: FittedModel) -> None:
        _report(progress, num_trial_epochs + epoch, num_trial_epochs + num_epochs, loss, None)

    with one_torch_thread():
        if window.is_telling:
            trial = run_trial_pass(prepared, on_epoch=after_trial_epoch)
            num_epochs = trial.num_epochs
            promised = trial.probability[num_epochs - 1]
            calibration = window.calibrate(promised)
            held_out = window.hold_out(calibration.apply(promised))
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


def _report(
    progress: Callable[[TrainProgress], None] | None, epoch: int, num_epochs: int, loss: float, validation: float | None
) -> None:
    if progress is not None:
        progress(TrainProgress(epoch=epoch, num_epochs=num_epochs, loss=loss, validation=validation))
