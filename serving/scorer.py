"""Scores a partition on a device, and on the CPU when the device is lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.indicators import compute_summary
from engine.partition import Partition
from kernels import locate_instants
from training.bundle import Bundle
from training.device import first_line
from training.inference import Outlook, encode_states, look_ahead
from training.predict import churn_probability, clip_survival, expected_days_to_purchase
from training.situation import situation_of
from training.spend import expected_spend

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionScores:
    """Scores of some customers of a partition as of one instant.

    device : "cpu" or "cuda", where they were computed in the end
    """

    survival: NDArray[np.float32]  # (num_customers, num_bins)
    states: NDArray[np.float32]  # (num_customers, state_size), after the last event before the instant
    summary: NDArray[np.float32]  # (num_customers, len(SUMMARY_COLUMNS))
    churn_probability: NDArray[np.float32]  # at the bundle's horizon
    expected_days_to_purchase: NDArray[np.float32]
    expected_spend_90d: NDArray[np.float32]  # currency units, or orders where the chain gave no amounts
    expected_spend_365d: NDArray[np.float32]
    device: str


def score_partition(
    bundle: Bundle,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: int,
    *,
    device: str,
) -> PartitionScores:
    """Scores as of one instant; the same on every device to 1e-6.

    customer_index : int64[num_customers]
    device         : "cpu" or "cuda"; a CUDA failure (lost, out of memory) is logged and the partition scored on the CPU
    """
    instants_us = np.full(len(customer_index), as_of_us, np.int64)
    try:
        states, summary, outlook = _score(bundle, partition, activity, customer_index, instants_us, device=device)
    except RuntimeError as error:
        # torch raises RuntimeError, or a subclass of it, for everything that a GPU can do wrong. A fault of the model itself
        # comes up again on the CPU.
        if device == "cpu":
            raise
        _logger.warning("the GPU failed (%s); scoring these %d customers on the CPU", first_line(error), len(customer_index))
        device = "cpu"
        states, summary, outlook = _score(bundle, partition, activity, customer_index, instants_us, device=device)
    survival = clip_survival(outlook.survival)
    probability = churn_probability(bundle.edges_days, survival, bundle.horizon_days)
    expected_days = expected_days_to_purchase(bundle.edges_days, survival)
    return PartitionScores(
        survival=survival,
        states=states,
        summary=summary,
        churn_probability=probability.astype(np.float32),
        expected_days_to_purchase=expected_days.astype(np.float32),
        expected_spend_90d=expected_spend(bundle.edges_days, outlook.spend, 90).astype(np.float32),
        expected_spend_365d=expected_spend(bundle.edges_days, outlook.spend, 365).astype(np.float32),
        device=device,
    )


def _score(
    bundle: Bundle,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    instants_us: NDArray[np.int64],
    *,
    device: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32], Outlook]:
    """States, summaries and outlook of customers, each with an event before the instant."""
    begin = partition.offsets[customer_index]
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, instants_us)
    states = encode_states(bundle.model, partition, customer_index, begin, end, device=device)
    summary = compute_summary(partition, customer_index, instants_us)
    last_event_us = partition.timestamp_us[end - 1] if len(end) else np.zeros(0, np.int64)
    situation = situation_of(summary, last_event_us, instants_us, activity)
    return states, summary, look_ahead(bundle.model, states, situation, device=device)
