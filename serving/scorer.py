"""Scores a partition on a device, and on the CPU when the device is lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.errors import DeviceError, InvalidArgumentError
from engine.partition import Partition
from training.bundle import Bundle
from training.predict import churn_probability, expected_days_to_purchase, predict_survival

DEVICES = ("auto", "cpu", "cuda")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionScores:
    """Scores of some customers of a partition as of one instant.

    device : "cpu" or "cuda", where they were computed in the end
    """

    survival: NDArray[np.float32]  # (num_customers, num_bins)
    churn_probability: NDArray[np.float32]  # at the bundle's horizon
    expected_days_to_purchase: NDArray[np.float32]
    device: str


def resolve_device(name: str) -> str:
    """ "cpu" or "cuda" for a device's name on the command line.

    raises : DeviceError for "cuda" where it does not work; InvalidArgumentError for a name that is not in DEVICES
    """
    if name not in DEVICES:
        raise InvalidArgumentError("device", f"found {name!r}, expected one of {', '.join(DEVICES)}")
    if name == "cpu":
        return "cpu"
    problem = _cuda_problem()
    if not problem:
        return "cuda"
    if name == "cuda":
        raise DeviceError(f"device cuda cannot be used: {problem}; use --device cpu or auto")
    return "cpu"


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
        survival = predict_survival(bundle, partition, activity, customer_index, instants_us, device=device)
    except RuntimeError as error:
        # torch raises RuntimeError, or a subclass of it, for everything that a GPU can do wrong. A fault of the model itself
        # comes up again on the CPU.
        if device == "cpu":
            raise
        _logger.warning("the GPU failed (%s); scoring these %d customers on the CPU", _first_line(error), len(customer_index))
        device = "cpu"
        survival = predict_survival(bundle, partition, activity, customer_index, instants_us, device=device)
    probability = churn_probability(bundle.edges_days, survival, bundle.horizon_days)
    expected_days = expected_days_to_purchase(bundle.edges_days, survival)
    return PartitionScores(
        survival=survival,
        churn_probability=probability.astype(np.float32),
        expected_days_to_purchase=expected_days.astype(np.float32),
        device=device,
    )


def _cuda_problem() -> str:
    """Why CUDA cannot be used, or ""; a driver may be there and a kernel still fail to start."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        torch.ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
