"""Outlooks of queries: states, situations and the heads in one call, as validation, calibration and back-test ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.partition import Partition
from kernels import locate_instants
from training.inference.fitted import FittedModel
from training.inference.outlook import Outlook, look_ahead_from_summary
from training.inference.states import encode_states
from training.network.situation import summarise


def survival_curves(
    model: FittedModel,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """The `survival` of `outlook_at`: float64[num_queries, num_bins]."""
    return outlook_at(model, partition, activity, customer_index, as_of_us, device=device).survival


def outlook_at(
    model: FittedModel,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    device: str = "cpu",
) -> Outlook:
    """What is expected of each query's customer, from events strictly before its instant.

    customer_index, as_of_us : int64[num_queries]; each customer has an event before the instant

    A query's row does not depend on what else is asked, up to the rounding of matrix products of other shapes (1e-6).
    """
    begin = partition.offsets[customer_index]
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, as_of_us)
    states = encode_states(model, partition, customer_index, begin, end, device=device)
    summary, last_event_us = summarise(partition, customer_index, as_of_us)
    return look_ahead_from_summary(model, states, summary, last_event_us, as_of_us, activity, device=device)
