"""Survival curves from a fitted network: the one forward path of validation, calibration, back-test and scoring."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.partition import Partition
from kernels import gather_sequences, locate_instants
from training.calibration import Calibration
from training.config import TrainConfig
from training.hazard import bin_hazards, bin_widths, survival_from_mass
from training.model import SequenceModel
from training.normaliser import Normaliser
from training.situation import describe_situation
from training.threads import one_torch_thread
from training.tokens import event_tokens

# Sequences per forward pass: enough to fill a matrix product, few enough that padding stays small after sorting by length.
_BATCH_QUERIES = 512
# Events per forward pass, padding included: a customer of years of daily orders must not take a batch's memory along.
_BATCH_EVENTS = 1 << 17


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedModel:
    """Weights with all that inference needs beside them."""

    config: TrainConfig
    network: SequenceModel
    token_normaliser: Normaliser
    situation_normaliser: Normaliser
    calibration: Calibration
    _elsewhere: dict[str, SequenceModel] = field(default_factory=dict, repr=False, compare=False)

    def network_on(self, device: str) -> SequenceModel:
        """The network for inference on a device; the weights are copied there once."""
        if device == "cpu":
            return self.network.eval()
        if device not in self._elsewhere:
            self._elsewhere[device] = copy.deepcopy(self.network).to(device).eval()
        return self._elsewhere[device]

    @property
    def edges_days(self) -> NDArray[np.float64]:
        """float64[num_bins]: upper edges of the hazard bins."""
        return np.asarray(self.config.model.edges_days, np.float64)


def survival_curves(
    model: FittedModel,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Calibrated P(no purchase in [instant, instant + edge)) of each query, from events strictly before its instant.

    customer_index, as_of_us : int64[num_queries]; each customer has an event before the instant
    returns                  : float64[num_queries, num_bins], not increasing along the bins

    A query's row does not depend on what else is asked, up to the rounding of matrix products of other shapes (1e-6).
    """
    num_queries = len(customer_index)
    survival = np.empty((num_queries, len(model.config.model.edges_days)))
    if num_queries == 0:
        return survival
    situation = model.situation_normaliser.apply(describe_situation(partition, activity, customer_index, as_of_us))
    begin = partition.offsets[customer_index]
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, as_of_us)
    lengths = end - begin
    widths = torch.as_tensor(bin_widths(model.edges_days), dtype=torch.float32, device=device)
    network = model.network_on(device)
    order = np.argsort(-lengths, kind="stable")
    # cuDNN would round the GRU's products to TF32, 1e-3 away from the CPU's scores.
    exact = nullcontext() if device == "cpu" else torch.backends.cudnn.flags(allow_tf32=False)
    with one_torch_thread(), torch.inference_mode(), exact:
        for chosen in _batches(order, lengths):
            tokens, sizes = _sequences(model, partition, begin[chosen], lengths[chosen])
            state = network.encode_last(torch.from_numpy(tokens).to(device), torch.from_numpy(sizes).to(device))
            log_rate = network.log_rates(state, torch.from_numpy(situation[chosen]).to(device))
            raw = survival_from_mass(bin_hazards(log_rate, widths).double())
            survival[chosen] = raw.cpu().numpy()
    return model.calibration.apply(survival)


def _batches(order: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Queries by falling length, as many at a time as fit the limits; at least one."""
    start = 0
    while start < len(order):
        stop = start + max(1, min(_BATCH_QUERIES, _BATCH_EVENTS // int(lengths[order[start]])))
        yield order[start:stop]
        start = stop


def _sequences(
    model: FittedModel, partition: Partition, begin: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Normalised tokens of all events before each instant: float32 (B, T, F), right-padded, and int64 (B,) lengths."""
    stop = np.cumsum(lengths)
    row = np.repeat(begin - stop + lengths, lengths) + np.arange(stop[-1])
    tokens = model.token_normaliser.apply(event_tokens(partition, row, np.repeat(begin, lengths)))
    padded, sizes = gather_sequences(tokens, stop - lengths, stop, int(lengths.max()))
    return padded, sizes.astype(np.int64)
