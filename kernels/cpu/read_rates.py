"""What is read off the log rates of bins: totals by each edge, calibrated survival, and the area under it; on the CPU, in blocks.

LLVM turns the logarithms and exponentials of a block into vectors, as in kernels.cpu.describe, where the reason for the series
stands. They are float64 and exact to 1e-12, and stand here once more because the cache on disk notices a change of a loop's own
file only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import FLOAT32_ROWS, FLOAT32S, FLOAT64S, INDEX, compile_loop, output
from kernels.loops.compilation import compile_part

_BLOCK = 64  # rows whose bins stay in the first-level cache
_LOG_2 = math.log(2)
_LOG2_HIGH, _LOG2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6  # source : Cephes, exp.c
_MANTISSA_BITS = 52
_BIAS = 1023
_HALF_ROOT_BITS = 0x3FE6A09E667F3BCD  # of sqrt(1/2): mantissas are taken from there to sqrt(2)
_EXP_LIMIT = 700.0  # exp is finite and a normal number up to there, on both sides


def _type_bits(_context: Any, _number: Any) -> tuple[Any, Any]:
    return types.int64(types.float64), lambda _context, builder, _signature, values: builder.bitcast(values[0], ir.IntType(64))


def _type_number(_context: Any, _bits: Any) -> tuple[Any, Any]:
    return types.float64(types.int64), lambda _context, builder, _signature, values: builder.bitcast(values[0], ir.DoubleType())


_bits: Any = intrinsic(_type_bits)  # of a float64, as an int64
_number: Any = intrinsic(_type_number)  # the float64 of these bits


@compile_part
def _log(value: float) -> float:
    """Natural logarithm of a positive, normal number."""
    bits: int = _bits(value)
    power = (bits - _HALF_ROOT_BITS) >> _MANTISSA_BITS
    mantissa: float = _number(bits - (power << _MANTISSA_BITS))
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = 1 / 11 + square * (1 / 13 + square * (1 / 15 + square * (1 / 17)))
    series = 1.0 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9 + square * series))))
    return power * _LOG_2 + 2.0 * ratio * series


@compile_part
def _exp(value: float) -> float:
    """exp within +-_EXP_LIMIT, and the exponential of that limit beyond it."""
    value = min(max(value, -_EXP_LIMIT), _EXP_LIMIT)
    power = np.floor(value * (1.0 / _LOG_2) + 0.5)
    rest = (value - power * _LOG2_HIGH) - power * _LOG2_LOW
    series = 1 / 5040 + rest * (1 / 40320 + rest * (1 / 362880 + rest * (1 / 3628800 + rest * (1 / 39916800))))
    series = 1 / 6 + rest * (1 / 24 + rest * (1 / 120 + rest * (1 / 720 + rest * series)))
    series = 1.0 + rest * (1.0 + rest * (0.5 + rest * series))
    found: float = series * _number((np.int64(power) + _BIAS) << _MANTISSA_BITS)
    return found


def add_up_rates(
    log_rate: NDArray[np.float32], added: NDArray[np.float32], widths: NDArray[np.float32], lowest: float, highest: float
) -> NDArray[np.float64]:
    """See kernels.head_operations.add_up_rates."""
    total = np.empty(log_rate.shape)
    run_chunks(lambda first, stop: _add_up(log_rate, added, widths, lowest, highest, first, stop, total), len(log_rate))
    return total


def calibrate_hazards(hazard: NDArray[np.float64], lowest: float, highest: float, shift: float, slope: float) -> None:
    """See kernels.head_operations.calibrate_hazards."""
    flat = hazard.reshape(-1)
    num_rows = len(hazard) if hazard.ndim else 1
    num_bins = len(flat) // max(num_rows, 1)
    run_chunks(lambda first, stop: _calibrate(lowest, highest, shift, slope, first * num_bins, stop * num_bins, flat), num_rows)


def integrate_survivals(widths: NDArray[np.float64], survival: NDArray[np.float32]) -> NDArray[np.float64]:
    """See kernels.head_operations.integrate_survivals."""
    days = np.empty(len(survival))
    run_chunks(lambda first, stop: _integrate(widths, survival, first, stop, days), len(survival))
    return days


@compile_loop((FLOAT32_ROWS, FLOAT32S, FLOAT32S, types.float32, types.float32, INDEX, INDEX, output(types.float64, 2)))
def _add_up(
    log_rate: NDArray[np.float32],
    added: NDArray[np.float32],
    widths: NDArray[np.float32],
    lowest: float,
    highest: float,
    first: int,
    stop: int,
    total: NDArray[np.float64],
) -> None:
    num_bins = len(widths)
    values = np.zeros(_BLOCK * num_bins)
    for start in range(first, stop, _BLOCK):
        count = min(_BLOCK, stop - start)
        for row in range(count):
            for place in range(num_bins):
                rate = log_rate[start + row, place]
                values[row * num_bins + place] = min(max(rate, lowest), highest) + added[start + row]
        for place in range(_BLOCK * num_bins):
            values[place] = _exp(values[place])
        for row in range(count):
            up_to = 0.0
            for place in range(num_bins):
                rate = log_rate[start + row, place]
                up_to += values[row * num_bins + place] * widths[place] if rate == rate else np.nan
                total[start + row, place] = up_to


@compile_loop((types.float64, types.float64, types.float64, types.float64, INDEX, INDEX, output(types.float64, 1)))
def _calibrate(
    lowest: float, highest: float, shift: float, slope: float, first: int, stop: int, hazard: NDArray[np.float64]
) -> None:
    some = hazard[first:stop]
    for place in range(len(some)):
        hazard_here = some[place]
        found = _exp(-_exp(shift + slope * _log(min(max(hazard_here, lowest), highest))))
        some[place] = found if hazard_here == hazard_here else np.nan  # what is no number must not come out as one


@compile_loop((FLOAT64S, FLOAT32_ROWS, INDEX, INDEX, output(types.float64, 1)))
def _integrate(
    widths: NDArray[np.float64], survival: NDArray[np.float32], first: int, stop: int, days: NDArray[np.float64]
) -> None:
    num_bins = len(widths)
    logs = np.zeros(_BLOCK * num_bins)
    for start in range(first, stop, _BLOCK):
        count = min(_BLOCK, stop - start)
        for row in range(count):
            for place in range(num_bins):
                logs[row * num_bins + place] = survival[start + row, place]
        for place in range(count * num_bins):
            logs[place] = _log(logs[place])
        for row in range(count):
            total, before, log_before = 0.0, 1.0, 0.0
            for place in range(num_bins):
                after = np.float64(survival[start + row, place])
                log_after = logs[row * num_bins + place]
                fall = log_before - log_after
                total += widths[place] * ((before - after) / fall if fall > 1e-9 else after)
                before, log_before = after, log_after
            days[start + row] = total
