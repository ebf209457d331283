"""roll_states on a GPU: kernels.loops.roll_sequences, a thread per sequence: right rather than fast, as cuDNN is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.roll_sequences import roll_sequences

_kernel = compile_kernel(roll_sequences)


def roll_states(
    tokens: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    initial: NDArray[np.float32],
    input_weight: NDArray[np.float32],
    state_weight: NDArray[np.float32],
    input_bias: NDArray[np.float32],
    state_bias: NDArray[np.float32],
) -> NDArray[np.float32]:
    """See kernels.roll_states."""
    states = np.empty((len(begin), 2, state_weight.shape[1]), np.float32)
    weights = (input_weight, state_weight, input_bias, state_bias)
    run_queries(_kernel, (tokens,), begin, end, states, lambda begin, end, queries: (begin, end, initial[queries], *weights))
    return np.ascontiguousarray(states[:, 0])
