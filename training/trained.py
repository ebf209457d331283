"""What a training hands over: the fitted model, what it was trained on, and how well it did before it was handed over."""

from __future__ import annotations

from dataclasses import dataclass

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
class TrainedModel:
    """A model that can be saved as a bundle.

    as_of_us      : only events strictly before it were seen
    history_hash  : of the history's manifest
    num_customers : learnt from
    validation    : metrics on the window before as_of, of the model that had not seen that window
    """

    model: FittedModel
    as_of_us: int
    history_hash: str
    num_customers: int
    validation: dict[str, float]
