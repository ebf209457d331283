"""The outlook of a customer: what the head reads off a state and a situation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.hazard import bin_hazards, bin_widths, survival_from_mass
from training.inference.fitted import FittedModel
from training.inference.states import exact_products
from training.threads import one_torch_thread

# Customers per forward pass: the activations stay in the processor's cache.
_BATCH_CUSTOMERS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What is expected of each customer after an instant.

    survival : float64[n, num_bins], calibrated P(no purchase in [instant, instant + edge)), not increasing along the bins
    """

    survival: NDArray[np.float64]


def look_ahead(
    model: FittedModel, states: NDArray[np.float32], situation: NDArray[np.float32], *, device: str = "cpu"
) -> Outlook:
    """The outlook from states after the last event before an instant, and the situations at it.

    states    : float32[n, state_size]                as `encode_states` gives them
    situation : float32[n, NUM_SITUATION_FEATURES]    raw, as `training.situation` gives it
    device    : "cpu" or "cuda"
    raises    : RuntimeError as torch does where the device fails
    """
    survival = np.empty((len(states), len(model.edges_days)))
    network = model.network_on(device)
    widths = torch.as_tensor(bin_widths(model.edges_days), dtype=torch.float32, device=device)
    with one_torch_thread(), torch.inference_mode(), exact_products(device):
        for start in range(0, len(states), _BATCH_CUSTOMERS):
            chosen = slice(start, start + _BATCH_CUSTOMERS)
            seen = torch.from_numpy(model.situation_normaliser.apply(situation[chosen])).to(device)
            log_rate = network.log_rates(torch.from_numpy(states[chosen]).to(device), seen)
            survival[chosen] = survival_from_mass(bin_hazards(log_rate, widths).double()).cpu().numpy()
    return Outlook(survival=model.calibration.apply(survival))
