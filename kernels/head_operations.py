"""Operations of the network's heads on the CPU: layers for many rows at once, and what is read off the rates that they give.

On the CPU alone: on a device these are torch's, which has them there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.arguments import check_lengths, require_array

# weight float32[num_outputs, num_inputs] and bias float32[num_outputs], as torch's Linear has them
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def run_layers(
    state: NDArray[np.float32],
    seen: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    limit: float,
    heads: Sequence[Sequence[Layer]],
) -> NDArray[np.float32]:
    """Heads of dense layers over a state and what is seen beside it, which is standardised on the way; SiLU between layers.

    state       : float32[n, D]
    seen        : float32[n, S]
    mean, scale, limit : as `standardise` takes them, of seen
    heads       : one or more, of one or more layers each; the first takes D + S inputs, and the last of each head as many outputs
    returns     : float32[num_heads, n, num_outputs]; a row is the same to the bit whatever else is asked
    raises      : ValueError, if layers do not fit the inputs or each other
    """
    state = require_array("state", state, np.float32, num_axes=2)
    seen = require_array("seen", seen, np.float32, num_axes=2)
    mean = require_array("mean", mean, np.float32)
    scale = require_array("scale", scale, np.float32)
    check_lengths(state=state, seen=seen)
    if not len(mean) == len(scale) == seen.shape[1]:
        raise ValueError(
            f"mean, scale: found {len(mean)} and {len(scale)} entries, expected one for each of {seen.shape[1]} columns"
        )
    outputs = {_check_layers(layers, state.shape[1] + seen.shape[1]) for layers in heads}
    if len(outputs) != 1:
        raise ValueError(f"heads: found {sorted(outputs)} outputs, expected heads with one number of them")
    from kernels.cpu import run_layers as run  # importing kernels must not wait for the compiler

    return run(state, seen, mean, scale, limit, heads)


def add_up_rates(
    log_rate: NDArray[np.float32], added: NDArray[np.float32], widths: NDArray[np.float32], lowest: float, highest: float
) -> NDArray[np.float64]:
    """By the end of each bin: the sum of width * exp(added + log rate) over the bins up to it.

    log_rate        : float32[n, num_bins]
    added           : float32[n]
    widths          : float32[num_bins]
    lowest, highest : limits of a log rate
    returns         : float64[n, num_bins]
    """
    log_rate = require_array("log_rate", log_rate, np.float32, num_axes=2)
    added = require_array("added", added, np.float32)
    widths = require_array("widths", widths, np.float32)
    check_lengths(log_rate=log_rate, added=added)
    if len(widths) != log_rate.shape[1]:
        raise ValueError(f"widths: found {len(widths)}, expected one for each of {log_rate.shape[1]} bins")
    from kernels.cpu import add_up_rates as add_up

    return add_up(log_rate, added, widths, lowest, highest)


def calibrate_hazards(hazard: NDArray[np.float64], lowest: float, highest: float, shift: float, slope: float) -> None:
    """Overwrite cumulative hazards H with exp(-exp(shift + slope * log H)).

    hazard          : float64, contiguous, of any shape
    lowest, highest : limits of H
    raises          : ValueError for another dtype, or where it is not contiguous
    """
    if hazard.dtype != np.float64 or not hazard.flags.c_contiguous or not hazard.flags.writeable:
        raise ValueError(f"hazard: found {hazard.dtype}{list(hazard.shape)}, expected contiguous, writable float64")
    from kernels.cpu import calibrate_hazards as calibrate

    calibrate(hazard, lowest, highest, shift, slope)


def integrate_survivals(widths: NDArray[np.float64], survival: NDArray[np.float32]) -> NDArray[np.float64]:
    """The areas under survival curves that fall exponentially inside each bin, in days.

    widths   : float64[num_bins]
    survival : float32[n, num_bins], at the end of each bin, above 0
    returns  : float64[n]
    """
    widths = require_array("widths", widths, np.float64)
    survival = require_array("survival", survival, np.float32, num_axes=2)
    if len(widths) != survival.shape[1]:
        raise ValueError(f"widths: found {len(widths)}, expected one for each of {survival.shape[1]} bins")
    from kernels.cpu import integrate_survivals as integrate

    return integrate(widths, survival)


def _check_layers(layers: Sequence[Layer], num_inputs: int) -> int:
    """The number of outputs of the last layer."""
    for place, (weight, bias) in enumerate(layers):
        require_array("weight", weight, np.float32, num_axes=2)
        require_array("bias", bias, np.float32)
        if weight.shape != (len(bias), num_inputs):
            raise ValueError(f"layer {place}: found {weight.shape} weights, expected {(len(bias), num_inputs)}")
        num_inputs = len(bias)
    return num_inputs
