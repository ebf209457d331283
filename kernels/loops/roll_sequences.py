"""A customer after the other, a unit after the other: the plain text of what kernels.cpu.roll_states does in tiles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.loops.compilation import compile_part


@compile_part
def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def roll_sequences(
    tokens: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    initial: NDArray[np.float32],
    input_weight: NDArray[np.float32],
    state_weight: NDArray[np.float32],
    input_bias: NDArray[np.float32],
    state_bias: NDArray[np.float32],
    first: int,
    stop: int,
    states: NDArray[np.float32],
) -> None:
    """Fill states[query, 0] of queries [first, stop).

    states : float32[num_queries, 2, D]; the second row holds the state before while the first is being filled
    """
    num_units = state_weight.shape[1]
    for query in range(first, stop):
        for unit in range(num_units):
            states[query, 0, unit] = initial[query, unit]
        for row in range(begin[query], end[query]):
            for unit in range(num_units):
                states[query, 1, unit] = states[query, 0, unit]
            for unit in range(num_units):
                update, new = unit + num_units, unit + 2 * num_units
                reset_sum = float(input_bias[unit]) + state_bias[unit]
                update_sum = float(input_bias[update]) + state_bias[update]
                new_sum, remembered = float(input_bias[new]), float(state_bias[new])
                for column in range(tokens.shape[1]):
                    value = float(tokens[row, column])
                    reset_sum += input_weight[unit, column] * value
                    update_sum += input_weight[update, column] * value
                    new_sum += input_weight[new, column] * value
                for column in range(num_units):
                    value = float(states[query, 1, column])
                    reset_sum += state_weight[unit, column] * value
                    update_sum += state_weight[update, column] * value
                    remembered += state_weight[new, column] * value
                found = math.tanh(new_sum + _sigmoid(reset_sum) * remembered)
                states[query, 0, unit] = found + _sigmoid(update_sum) * (states[query, 1, unit] - found)
