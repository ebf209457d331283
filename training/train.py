"""Training: from a history to a calibrated model, from what was known strictly before the as-of.

The last horizon before the as-of is held out of a first pass, which says how many epochs serve best and how the curves are to
be calibrated; a second pass with those epochs learns from everything.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.history import History
from engine.indicators import compute_indicators
from engine.instants import DAY_US
from engine.labels import eligible
from engine.partition import Partition
from engine.storage import Place
from training.config import TrainConfig
from training.drift.reference import Reference, measure_reference
from training.evaluation.metrics import measure_everybody, metrics
from training.evaluation.weighted import Ranking
from training.inference import FittedModel, survival_curves
from training.network.calibration import Calibration
from training.passes.both import LearnHere, Learning, Tell
from training.passes.checkpoint import Checkpoints, subject_of
from training.passes.trial_pass import prepare
from training.predict import churn_probability
from training.threads import one_torch_thread
from training.trained import TrainedModel


def train(
    history: History,
    *,
    as_of_us: int,
    config: TrainConfig | None = None,
    progress: Tell | None = None,
    learning: Learning | None = None,
    checkpoint_folder: Place | None = None,
    resume: bool = False,
) -> TrainedModel:
    """Learn from the events strictly before an instant; nothing else of the history is looked at.

    progress          : called after every epoch
    learning          : where; in this process and on the CPU by default
    checkpoint_folder : is given a checkpoint after every epoch, which the caller removes once the model is safe; None: nowhere
    resume            : go on from the checkpoint there, if there is one, to the bits that would have come without the break
    raises            : AsOfError where the past is too short, or too few customers were active in it, to learn from; where it
                        resumes IntegrityError for a damaged checkpoint, InvalidArgumentError for one of another training

    The same past, configuration and machine give the same bits. Runs on one thread: the steps are small, and threads that wait
    for each other cost more than they bring on a busy machine (measured: 20 times the wall time with two on two busy cores).
    """
    learning = LearnHere() if learning is None else learning
    prepared = prepare(history, as_of_us=as_of_us, config=TrainConfig() if config is None else config)
    past, window = prepared.past, prepared.window
    checkpoints, start = None, None
    if checkpoint_folder is not None:
        subject = subject_of(history.manifest_hash, prepared, learning.compute, learning.num_workers)
        checkpoints = Checkpoints(folder=checkpoint_folder, subject=subject)
        start = checkpoints.read(prepared) if resume else None
    tell = (lambda _: None) if progress is None else progress
    end = learning.run(prepared, tell=tell, keeper=checkpoints, start=start)
    with one_torch_thread():
        calibration, validation, held_out = Calibration(), {}, None
        if end.trial.losses:
            promised = window.probability(end.trial.chosen)
            calibration = window.calibrate(promised)
            held_out = window.hold_out(calibration.apply(promised))
            validation = metrics(window.churned, held_out.probability) | _slope(window.churned, held_out.probability)
        model = replace(end.standing.model, calibration=calibration)
        reference = _measure_reference(model, past, prepared.activity, as_of_us, window.churned)
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


def _slope(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> dict[str, float]:
    """The calibration slope, where there is one."""
    slope = measure_everybody(Ranking(churned, probability))["calibration_slope"]
    return {"calibration_slope": slope} if np.isfinite(slope) else {}


def _measure_reference(
    model: FittedModel, past: Partition, activity: DailyActivity, as_of_us: int, churned: NDArray[np.bool_]
) -> Reference:
    """The customers eligible at the as-of, as the model to be handed over sees them."""
    customers = eligible(past, as_of_us, model.config.active_within_days)
    instants = np.full(len(customers), as_of_us, np.int64)
    survival = survival_curves(model, past, activity, customers, instants)
    probability = churn_probability(model.edges_days, survival, model.config.horizon_days)
    log_days = (as_of_us - int(past.timestamp_us.min())) / DAY_US
    return measure_reference(compute_indicators(past, customers, instants), probability, churned, log_days=log_days)
