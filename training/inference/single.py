"""The forward path for one customer at a time: the same numbers as `encode_states` and `look_ahead`, without a tensor.

A pass of torch over a few events and one query is nearly all calls: 1 ms, of which the arithmetic takes 20 us. One compiled call
for the events and one for each head leave little of the rest, and a live score has a millisecond in all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from engine.partition import Partition
from kernels.cpu.forward_one import roll_state, run_head
from training.inference.fitted import FittedModel
from training.inference.outlook import Outlook
from training.network.hazard import HIGHEST_LOG_RATE, LOWEST_LOG_RATE, bin_widths
from training.network.season import season_level_of_one
from training.network.tokens import customer_tokens

Floats = NDArray[np.float32]


class SingleForward:
    """Weights of a model laid out for one customer; safe to use from several threads."""

    def __init__(self, model: FittedModel) -> None:
        self._model = model
        input_weight, state_weight, input_bias, state_bias = model.gru_weights
        self._gru = (_transposed(input_weight), _transposed(state_weight), input_bias, state_bias)
        self._purchases = _Head([*model.network.body, model.network.rates])
        self._spend = _Head([*model.network.spend_body, model.network.spend_rates])
        self._season_powers = model.season_powers.tolist()
        self._widths = bin_widths(model.edges_days).astype(np.float32)

    def roll(self, state: Floats, partition: Partition, begin: int, end: int) -> Floats:
        """The state after the events [begin, end) of a partition of one customer.

        state   : float32[state_size], after the events before begin; zeros where there are none
        returns : float32[state_size]
        """
        if begin == end:
            return state
        tokens = self._model.token_normaliser.apply_to_one(customer_tokens(partition, begin, end))
        rolled: Floats = np.array(state, np.float32)
        roll_state(tokens, *self._gru, rolled)
        return rolled

    def look_ahead(self, state: Floats, situation: Floats) -> Outlook:
        """What `look_ahead` gives of one customer, with one row.

        state     : float32[state_size]               after the last event before the instant
        situation : float32[NUM_SITUATION_FEATURES]   raw, at the instant
        """
        inputs = np.concatenate((state, self._model.situation_normaliser.apply_to_one(situation[None])[0]))
        scale = self._model.spend_scale
        hazard = self._purchases.look_ahead(inputs, self._widths, 0.0)
        spend = self._spend.look_ahead(inputs, self._widths, math.log(scale.usual_order_of_one(situation)))
        level = math.exp(season_level_of_one(situation, self._season_powers))
        hazard *= level
        spend *= level * scale.mean
        return Outlook(survival=self._model.calibration.apply_to_hazard(hazard), spend=spend)


class _Head:
    """Linear layers one behind the other, as `kernels.cpu.forward_one.run_head` takes them."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self._sizes = np.array([linear[0].in_features, *(layer.out_features for layer in linear)], np.int64)
        self._weights = np.concatenate([part for layer in linear for part in _parts(layer)])

    def look_ahead(self, inputs: Floats, widths: Floats, added: float) -> NDArray[np.float64]:
        """float64[1, num_bins], by each edge; added to the log of the rates."""
        total = np.empty((1, len(widths)))
        run_head(inputs, self._sizes, self._weights, widths, LOWEST_LOG_RATE, HIGHEST_LOG_RATE, added, total[0])
        return total


def _parts(layer: nn.Linear) -> tuple[Floats, Floats]:
    return _transposed(layer.weight.detach().cpu().numpy()).ravel(), layer.bias.detach().cpu().numpy()


def _transposed(values: Floats) -> Floats:
    return np.ascontiguousarray(values.T)
