"""The forward path for one customer at a time: the same numbers as `encode_states` and `look_ahead`, without a tensor.

A pass of torch over a few events and one query is nearly all calls: 1 ms, of which the arithmetic takes 20 us. NumPy's calls
cost a tenth, and a live score has a millisecond in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from engine.partition import Partition
from training.hazard import HIGHEST_LOG_RATE, LOWEST_LOG_RATE, bin_widths
from training.inference.fitted import FittedModel
from training.inference.outlook import Outlook
from training.inference.states import encode_states
from training.tokens import event_tokens

# Beyond it a pass of torch is no slower, and it leaves the interpreter to other threads meanwhile.
_MOST_STEPS = 64

Floats = NDArray[np.float32]


class SingleForward:
    """Weights of a model laid out for one customer; safe to use from several threads."""

    def __init__(self, model: FittedModel) -> None:
        self._model = model
        gru, body = model.network.gru, model.network.body
        weights = {name: values.detach().cpu().numpy() for name, values in gru.named_parameters()}
        self._input, self._input_bias = _transposed(weights["weight_ih_l0"]), weights["bias_ih_l0"]  # (F, 3 D), (3 D,)
        self._recurrent, self._recurrent_bias = _transposed(weights["weight_hh_l0"]), weights["bias_hh_l0"]  # (D, 3 D), (3 D,)
        layers = [layer for layer in body if isinstance(layer, nn.Linear)]
        self._hidden = [_weights_of(layer) for layer in layers]
        self._rates = _weights_of(model.network.rates)
        self._spend_hidden = [_weights_of(layer) for layer in model.network.spend_body if isinstance(layer, nn.Linear)]
        self._spend_rates = _weights_of(model.network.spend_rates)
        self._widths = bin_widths(model.edges_days).astype(np.float32)

    def roll(self, state: Floats, partition: Partition, begin: int, end: int) -> Floats:
        """The state after the events [begin, end) of a partition of one customer.

        state   : float32[state_size], after the events before begin; zeros where there are none
        returns : float32[state_size]
        """
        if begin == end:
            return state
        if end - begin > _MOST_STEPS:
            rows = np.array([[0], [begin], [end]], np.int64)
            rolled: Floats = encode_states(self._model, partition, *rows, initial=state[None])[0]
            return rolled
        raw = event_tokens(partition, np.arange(begin, end), np.zeros(end - begin, np.int64))
        inputs = self._model.token_normaliser.apply(raw) @ self._input + self._input_bias  # (T, 3 D)
        size = len(state)
        for row in inputs:
            seen = state @ self._recurrent + self._recurrent_bias
            gates = _sigmoid(row[: 2 * size] + seen[: 2 * size])  # reset, update
            candidate = np.tanh(row[2 * size :] + gates[:size] * seen[2 * size :])
            state = candidate + gates[size:] * (state - candidate)
        return state

    def look_ahead(self, state: Floats, situation: Floats) -> Outlook:
        """What `look_ahead` gives of one customer, with one row.

        state     : float32[state_size]               after the last event before the instant
        situation : float32[NUM_SITUATION_FEATURES]   raw, at the instant
        """
        seen = np.concatenate((state, self._model.situation_normaliser.apply(situation[None])[0]))
        mass = np.exp(_log_rates(seen, self._hidden, self._rates)) * self._widths
        hazard = np.cumsum(mass.astype(np.float64))[None]
        scale = self._model.spend_scale
        log_usual = np.log(scale.usual_order(situation[None])).astype(np.float32)
        in_bin = np.exp(_log_rates(seen, self._spend_hidden, self._spend_rates) + log_usual) * self._widths
        spend = np.cumsum(in_bin.astype(np.float64))[None] * scale.mean
        return Outlook(survival=self._model.calibration.apply_to_hazard(hazard), spend=spend)


def _log_rates(seen: Floats, hidden: Sequence[tuple[Floats, Floats]], last: tuple[Floats, Floats]) -> Floats:
    for weight, bias in hidden:
        before = seen @ weight + bias
        seen = before * _sigmoid(before)
    weight, bias = last
    rates: Floats = np.clip(seen @ weight + bias, LOWEST_LOG_RATE, HIGHEST_LOG_RATE)
    return rates


def _sigmoid(values: Floats) -> Floats:
    # By the tangent, which does not overflow.
    half: Floats = np.float32(0.5) * np.tanh(np.float32(0.5) * values) + np.float32(0.5)
    return half


def _weights_of(layer: nn.Linear) -> tuple[Floats, Floats]:
    return _transposed(layer.weight.detach().cpu().numpy()), layer.bias.detach().cpu().numpy()


def _transposed(values: Floats) -> Floats:
    return np.ascontiguousarray(values.T)
