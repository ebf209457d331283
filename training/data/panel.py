"""A panel: customers eligible at an instant, what models say of them, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.history import History
from engine.indicators import compute_indicators
from engine.instants import DAY_US
from engine.labels import churned, eligible
from training.inference import FittedModel, survival_curves
from training.predict import churn_probability

# Buckets are a random split of the customers, so that some of them speak for all; a bootstrap of more tells nothing new.
MOST_CUSTOMERS = 50_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """Customers at an instant.

    customer_ids : string[n]
    churned      : bool[n]  no purchase in the horizon; means nothing where the horizon is not known to its end
    probability  : by model, float64[n]
    indicators   : float32[n, NUM_COLUMNS], as `ask_panel` was told to look back
    """

    as_of_us: int
    customer_ids: pa.Array
    churned: NDArray[np.bool_]
    probability: dict[str, NDArray[np.float64]]
    indicators: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.churned)


def ask_panel(
    history: History,
    models: Mapping[str, FittedModel],
    *,
    as_of_us: int,
    horizon_days: int,
    active_within_days: int,
    indicators_since_us: int | None = None,
    most_customers: int = MOST_CUSTOMERS,
) -> Panel:
    """Ask models about the eligible customers of as many buckets as it takes to reach `most_customers`, in their order.

    indicators_since_us : compute the indicators as if the log began there; models see everything
    raises : InvalidArgumentError where a model's curves do not reach to the horizon
    """
    activity = history.activity()
    ids, outcomes, indicators = [], [], []
    probability: dict[str, list[NDArray[np.float64]]] = {name: [] for name in models}
    num_customers = 0
    for partition in history.partitions():
        customers = eligible(partition, as_of_us, active_within_days)
        instants = np.full(len(customers), as_of_us, np.int64)
        ids.append(partition.customer_ids.take(pa.array(customers)))
        outcomes.append(churned(partition, customers, as_of_us, horizon_days))
        indicators.append(compute_indicators(partition, customers, instants, since_us=indicators_since_us))
        for name, model in models.items():
            survival = survival_curves(model, partition, activity, customers, instants)
            probability[name].append(churn_probability(model.edges_days, survival, horizon_days))
        num_customers += len(customers)
        if num_customers >= most_customers:
            break
    return Panel(
        as_of_us=as_of_us,
        customer_ids=pa.concat_arrays(ids),
        churned=np.concatenate(outcomes),
        probability={name: np.concatenate(found) for name, found in probability.items()},
        indicators=np.concatenate(indicators),
    )


def last_whole_day_us(history: History) -> int | None:
    """The midnight before the last order, which is where knowledge ends: drift looks from there, and the last complete window
    ends there; None without orders.

    After it a day may be known by its first hours alone: everybody's last purchase would then seem a day older, and who bought
    later that day would seem to have left.
    """
    last_us = history.manifest.last_order_us
    return None if last_us is None else last_us // DAY_US * DAY_US


def newest_window_us(history: History, horizon_days: int) -> int | None:
    """The start of the newest window whose outcomes are all known; None where the orders do not reach over one."""
    first_us, end_us = history.manifest.first_order_us, last_whole_day_us(history)
    if first_us is None or end_us is None:
        return None
    start_us = end_us - horizon_days * DAY_US
    return start_us if start_us > first_us else None
