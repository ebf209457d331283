"""The network for one customer on the CPU: a call each for the events and for a head, nothing packed and nothing shared out.

`roll_states` lays the weights out for tiles and torch runs whole batches; for five events and one query either is nearly all
preparation. These two stand beside the operations and are none of them: a GPU has no use for one customer.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.compilation import FLOAT32_ROWS, FLOAT32S, INT64S, compile_loop, output
from kernels.loops.compilation import compile_part


@compile_part
def _sigmoid(value: np.float32) -> np.float32:
    # An exponential that overflows leaves 0; the C library's tangent takes several times as long.
    return np.float32(np.float32(1.0) / (np.float32(1.0) + math.exp(-value)))


@compile_loop((FLOAT32_ROWS, FLOAT32_ROWS, FLOAT32_ROWS, FLOAT32S, FLOAT32S, output(types.float32, 1)))
def roll_state(
    tokens: NDArray[np.float32],
    input_weight: NDArray[np.float32],
    state_weight: NDArray[np.float32],
    input_bias: NDArray[np.float32],
    state_bias: NDArray[np.float32],
    state: NDArray[np.float32],
) -> None:
    """Roll a state over the events of one customer, in place; as `kernels.roll_states` to 1e-6. Nothing is checked.

    tokens       : float32[num_events, F]    oldest first
    input_weight : float32[F, 3 * D]         and
    state_weight : float32[D, 3 * D]         transposed, so that a weight's neighbours are of other units: they add up as vectors
    biases       : float32[3 * D]
    state        : float32[D]
    """
    num_units = len(state)
    seen = np.empty(3 * num_units, np.float32)
    remembered = np.empty(3 * num_units, np.float32)
    for event in range(tokens.shape[0]):
        for unit in range(3 * num_units):
            seen[unit] = input_bias[unit]
            remembered[unit] = state_bias[unit]
        for column in range(tokens.shape[1]):
            value = tokens[event, column]
            for unit in range(3 * num_units):
                seen[unit] += value * input_weight[column, unit]
        for column in range(num_units):
            value = state[column]
            for unit in range(3 * num_units):
                remembered[unit] += value * state_weight[column, unit]
        for unit in range(num_units):
            update, new = unit + num_units, unit + 2 * num_units
            reset = _sigmoid(seen[unit] + remembered[unit])
            doubled = np.float32(2.0) * (seen[new] + reset * remembered[new])
            found = np.float32(2.0) * _sigmoid(doubled) - np.float32(1.0)
            state[unit] = found + _sigmoid(seen[update] + remembered[update]) * (state[unit] - found)


@compile_loop(
    (FLOAT32S, INT64S, FLOAT32S, FLOAT32S, types.float32, types.float32, types.float32, output(types.float64, 1)),
)
def run_head(
    inputs: NDArray[np.float32],
    sizes: NDArray[np.int64],
    weights: NDArray[np.float32],
    widths: NDArray[np.float32],
    lowest: float,
    highest: float,
    added: float,
    total: NDArray[np.float64],
) -> None:
    """What a head expects of one customer by each edge: the sum of width * exp(added + log rate) over the bins before it.

    inputs          : float32[sizes[0]]
    sizes           : int64[num_layers + 1]    of the layers' inputs, and of the last one's outputs: the bins; SiLU in between
    weights         : float32[...]             of each layer the weight (inputs, outputs) and behind it the bias
    widths          : float32[num_bins]        of the bins
    lowest, highest : limits of a log rate
    total           : float64[num_bins]        to be filled
    """
    num_layers = len(sizes) - 1
    values = inputs.copy()
    start = 0
    for layer in range(num_layers):
        num_inputs, num_outputs = sizes[layer], sizes[layer + 1]
        found = np.empty(num_outputs, np.float32)
        bias = start + num_inputs * num_outputs
        for unit in range(num_outputs):
            found[unit] = weights[bias + unit]
        for column in range(num_inputs):
            value = values[column]
            row = start + column * num_outputs
            factors = weights[row : row + num_outputs]  # places that may be below 0 would keep LLVM from using vectors
            for unit in range(num_outputs):
                found[unit] += value * factors[unit]
        if layer + 1 < num_layers:
            for unit in range(num_outputs):
                found[unit] *= _sigmoid(found[unit])
        start = bias + num_outputs
        values = found
    up_to = 0.0
    for place in range(len(total)):
        rate = min(max(values[place], lowest), highest)
        up_to += widths[place] * math.exp(rate + added)
        total[place] = up_to
