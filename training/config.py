"""Settings of the model and of its training. The defaults are measured on several data sets: see docs/log.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

from engine.errors import InvalidArgumentError

# Days. Fine where weekly shoppers come back, coarse where only the lapsed are left.
DEFAULT_EDGES_DAYS: tuple[float, ...] = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 75, 90, 120, 180, 270, 365)

# (fewer customers than, state, head, dropout). What is larger learns a small chain by heart: of 400 customers, the usual size had
# a Brier score of .0945 against .0930 on Complete Journey, and .2111 against .2070 on Online Retail (docs/log.md).
SMALL_CHAINS: tuple[tuple[int, int, int, float], ...] = ((700, 16, 32, 0.3), (2000, 24, 48, 0.2))


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Size and shape of the sequence model."""

    edges_days: tuple[float, ...] = DEFAULT_EDGES_DAYS
    """Upper edges of the hazard bins, ascending; the first bin begins at 0."""

    state_size: int = 48
    """Width of the GRU's state."""

    head_size: int = 96
    """Width of the two hidden layers of the head."""

    dropout: float = 0.1
    """Share of the head's hidden units that are dropped in training."""

    context_events: int = 128
    """Training cuts histories into pieces of at most this many events; the state that is scored with comes from all of them."""

    def __post_init__(self) -> None:
        edges = self.edges_days
        if len(edges) < 2 or edges[0] <= 0 or any(later <= earlier for earlier, later in pairwise(edges)):
            raise InvalidArgumentError("edges_days", f"found {edges}, expected two or more ascending numbers of days above 0")
        _check("state_size", self.state_size, 1, 4096)
        _check("head_size", self.head_size, 1, 4096)
        _check("dropout", self.dropout, 0.0, 0.9)
        _check("context_events", self.context_events, 8, 65_536)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """What to learn and how."""

    horizon_days: int = 30
    """Churn is: no purchase within this many days."""

    active_within_days: int = 90
    """Who is asked about: customers with a purchase in the days before the instant."""

    seed: int = 0
    """Same inputs, seed and machine give the same weights."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """Size and shape of the sequence model."""

    adapt_size: bool = True
    """Where there are few customers to learn from, a smaller model with more dropout takes its place (SMALL_CHAINS)."""

    num_epochs: int = 12
    """Passes over the customers."""

    patience_epochs: int = 3
    """The trial pass ends early where this many epochs one after the other are clearly worse than the best before them."""

    learn_days: int = 150
    """Query instants are drawn from this many last days, or from four horizons if that is longer: customers and chain change, and
    what is older teaches old habits. All earlier events are still seen by the model."""

    instants_per_epoch: int = 24
    """Query instants drawn per customer and epoch; those where the customer is not eligible are dropped."""

    batch_customers: int = 64
    """Sequences per optimiser step; fewer where an epoch would have less than 32 steps."""

    learning_rate: float = 2e-3
    """Peak of the schedule (AdamW)."""

    adapt_rate: bool = True
    """A second trial pass learns three times as fast, and is followed where the held-out window is clearly better served,
    or half of the way where that may be chance: who buys by the clock has more to teach in few steps than who does not."""

    weight_decay: float = 0.05
    """Of AdamW, on matrices only."""

    horizon_weight: float = 1.0
    """Weight of the cross entropy at `horizon_days` beside the likelihood of all bins."""

    average_decay: float = 0.995
    """Decay per step of the moving average of the weights, which is what is kept."""

    max_events: int = 2_000_000
    """Larger histories are learnt from a random sample of customers of about this many events."""

    def __post_init__(self) -> None:
        last_edge = self.model.edges_days[-1]
        _check("horizon_days", self.horizon_days, 1, last_edge)
        _check("active_within_days", self.active_within_days, 1, 3650)
        _check("seed", self.seed, 0, 2**31 - 1)
        _check("num_epochs", self.num_epochs, 1, 1000)
        _check("patience_epochs", self.patience_epochs, 1, 1000)
        _check("learn_days", self.learn_days, 1, 36_500)
        _check("instants_per_epoch", self.instants_per_epoch, 1, 10_000)
        _check("batch_customers", self.batch_customers, 1, 65_536)
        _check("learning_rate", self.learning_rate, 1e-6, 1.0)
        _check("weight_decay", self.weight_decay, 0.0, 10.0)
        _check("horizon_weight", self.horizon_weight, 0.0, 100.0)
        _check("average_decay", self.average_decay, 0.0, 0.9999)
        _check("max_events", self.max_events, 1000, 2**40)

    def sized_for(self, num_customers: int) -> TrainConfig:
        """These settings for that many customers to learn from: the same, or with a smaller model."""
        sizes = [size for below, *size in SMALL_CHAINS if num_customers < below]
        if not self.adapt_size or not sizes:
            return self
        model, (state_size, head_size, dropout) = self.model, sizes[0]
        smaller = replace(
            model,
            state_size=min(model.state_size, int(state_size)),
            head_size=min(model.head_size, int(head_size)),
            dropout=max(model.dropout, dropout),
        )
        return replace(self, model=smaller)


def _check(name: str, value: float, lowest: float, highest: float) -> None:
    if not math.isfinite(value) or not lowest <= value <= highest:
        raise InvalidArgumentError(name, f"found {value}, expected a number from {lowest:g} to {highest:g}")
