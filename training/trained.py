"""What a training hands over: the fitted model, what it was trained on, and how well it did before it was handed over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.drift.reference import Reference
from training.inference import FittedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainProgress:
    """One epoch done."""

    epoch: int
    """Epochs done, from 1, over all passes of the training."""

    num_epochs: int
    """Epochs that will be done."""

    loss: float
    """Mean training loss per query of the epoch, in nats."""

    validation: float | None
    """Cross entropy of churn on the held-out window, in nats per customer; None once the window is learnt from too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """What the first pass, which had not seen the last horizon before the as-of, promised for it.

    Never written anywhere: it speaks of customers one by one.
    as_of_us     : the start of that horizon
    customer_ids : string[n], eligible then
    probability  : float64[n], churn within the horizon, calibrated
    """

    as_of_us: int
    customer_ids: pa.Array
    probability: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A model that can be saved as a bundle.

    as_of_us       : only events strictly before it were seen
    first_event_us : of what was learnt from
    history_hash   : of the history's manifest
    num_customers  : learnt from
    num_events     : learnt from
    validation     : metrics on the window before as_of, of the model that had not seen that window
    reference      : what the chain looked like, to measure drift from
    held_out       : to be judged by beside the champion; None of a bundle that was loaded, and where the window told nothing
    """

    model: FittedModel
    as_of_us: int
    first_event_us: int
    history_hash: str
    num_customers: int
    num_events: int
    validation: dict[str, float]
    reference: Reference
    held_out: HeldOut | None = field(default=None, repr=False, compare=False)
