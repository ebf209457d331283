"""The outlook of a customer: what the head reads off a state and a situation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.activity import DailyActivity
from kernels import add_up_rates, describe_situations, run_layers
from training.inference.device import exact_products, in_halves, send
from training.inference.fitted import FittedModel
from training.network.hazard import HIGHEST_LOG_RATE, LOWEST_LOG_RATE, bin_hazards, bin_widths
from training.network.normaliser import HIGHEST_STANDARD
from training.network.situation import describe_instants
from training.network.spend import bin_spend
from training.threads import one_torch_thread, share_rows

# Customers per forward pass: on the CPU the activations stay in a core's cache, a GPU wants many at a time.
_BATCH_CUSTOMERS = 2048
_BATCH_CUSTOMERS_ON_DEVICE = 1 << 17


Floats = NDArray[np.float32]
# (states, raw situations, logs of usual orders) to float64[n, num_bins] twice: by each edge the hazard, and the mean orders spent
_Rates = Callable[[Floats, Floats, Floats], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What is expected of each customer after an instant.

    survival : float64[n, num_bins], calibrated P(no purchase in [instant, instant + edge)), not increasing along the bins
    spend    : float64[n, num_bins], expected spend in [instant, instant + edge), not decreasing along the bins; currency
               units, or orders where the chain gave no amounts
    """

    survival: NDArray[np.float64]
    spend: NDArray[np.float64]


def look_ahead(
    model: FittedModel, states: NDArray[np.float32], situation: NDArray[np.float32], *, device: str = "cpu"
) -> Outlook:
    """The outlook from states after the last event before an instant, and the situations at it.

    states    : float32[n, state_size]                as `encode_states` gives them
    situation : float32[n, NUM_SITUATION_FEATURES]    raw, as `training.network.situation` gives it
    device    : "cpu" or "cuda"
    raises    : RuntimeError as torch does where the device fails; out of memory only with a single customer
    """
    return _look_ahead(model, states, lambda rows: situation[rows], device=device)


def look_ahead_from_summary(
    model: FittedModel,
    states: NDArray[np.float32],
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    activity: DailyActivity,
    *,
    device: str = "cpu",
) -> Outlook:
    """`look_ahead` with the situations of `training.network.situation.situation_of`, which are never all in memory at once.

    summary       : float32[n, len(SUMMARY_COLUMNS)]    at the instants, as `engine.indicators.compute_summary` gives it
    last_event_us : int64[n]                            before the instant; NO_EVENT where there is none
    as_of_us      : int64[n]
    """
    calendar, log_days, calendar_row = describe_instants(as_of_us, activity)

    def situation_of(rows: slice) -> NDArray[np.float32]:
        return describe_situations(summary[rows], last_event_us[rows], as_of_us[rows], calendar, log_days, calendar_row[rows])

    return _look_ahead(model, states, situation_of, device=device)


def _look_ahead(
    model: FittedModel, states: NDArray[np.float32], situation_of: Callable[[slice], NDArray[np.float32]], *, device: str
) -> Outlook:
    """The outlook; situation_of gives the raw situations of some rows."""
    survival, spend = np.empty((2, len(states), len(model.edges_days)))

    def fill(rows: slice, rates_of: _Rates) -> None:
        situation = situation_of(rows)
        log_usual = np.log(model.spend_scale.usual_order(situation)).astype(np.float32)
        hazard, spend[rows] = rates_of(states[rows], situation, log_usual)
        level = np.exp(model.season_level(situation))[:, None]
        hazard *= level
        spend[rows] *= level * model.spend_scale.mean
        survival[rows] = model.calibration.apply_to_hazard(hazard)

    if device == "cpu":
        rates_of = _rates_on_cpu(model)
        share_rows(lambda rows: fill(rows, rates_of), len(states), _BATCH_CUSTOMERS)
    else:
        rates_of = _rates_on_device(model, device)
        with one_torch_thread(), exact_products(device):
            for start in range(0, len(states), _BATCH_CUSTOMERS_ON_DEVICE):
                stop = min(start + _BATCH_CUSTOMERS_ON_DEVICE, len(states))
                in_halves(lambda rows: fill(rows, rates_of), slice(start, stop))
    return Outlook(survival=survival, spend=spend)


def _rates_on_cpu(model: FittedModel) -> _Rates:
    widths = bin_widths(model.edges_days).astype(np.float32)
    normaliser = model.situation_normaliser
    heads = model.heads

    def rates_of(states: Floats, situation: Floats, log_usual: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        purchases, spend = run_layers(states, situation, normaliser.mean, normaliser.scale, HIGHEST_STANDARD, heads)
        limits = (LOWEST_LOG_RATE, HIGHEST_LOG_RATE)
        hazard = add_up_rates(purchases, np.zeros_like(log_usual), widths, *limits)
        return hazard, add_up_rates(spend, log_usual, widths, *limits)

    return rates_of


def _rates_on_device(model: FittedModel, device: str) -> _Rates:
    network = model.network_on(device)
    widths = torch.as_tensor(bin_widths(model.edges_days), dtype=torch.float32, device=device)

    def rates_of(states: Floats, situation: Floats, log_usual: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with torch.inference_mode():
            state, seen = send(states, device), send(model.situation_normaliser.apply(situation), device)
            hazard = bin_hazards(network.log_rates(state, seen), widths).double().cumsum(dim=1).cpu().numpy()
            in_bin = bin_spend(network.log_spend_rates(state, seen), send(log_usual, device), widths)
            return hazard, in_bin.double().cumsum(dim=1).cpu().numpy()

    return rates_of
