"""run_layers on the CPU: a tile of rows goes through all layers while it is in the first cache, a row to a lane.

A product for so few columns is over before a library has packed its factors. Here a weight is read once for the tile and the sums
of a block of units stay in registers; what comes out of a layer lies as the next one reads it. What a row adds up does not depend
on who else is in its tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import FLOAT32_ROWS, FLOAT32S, INDEX, INT64S, compile_loop, output
from kernels.cpu.vectors import HAS_WIDE_REGISTERS, LANES, constant, emit_exp, load, multiply_add, splat, store

# Sums of a block of units for two vectors of rows must fit beside a weight and two vectors: 32 wide registers, or 16 narrow ones.
_UNITS = 8 if HAS_WIDE_REGISTERS else 5
_VECTORS = 2
_ROWS = _VECTORS * LANES

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def run_layers(
    state: NDArray[np.float32],
    seen: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    limit: float,
    heads: Sequence[Sequence[Layer]],
) -> NDArray[np.float32]:
    """See kernels.head_operations.run_layers."""
    num_inputs = state.shape[1] + seen.shape[1]
    num_layers = np.array([len(layers) for layers in heads])
    sizes = np.array([size for layers in heads for size in (num_inputs, *(len(bias) for _, bias in layers))])
    weights = np.concatenate([_pack(*layer) for layers in heads for layer in layers])
    found = np.empty((len(heads), len(state), sizes[-1]), np.float32)
    inputs = (state, seen, mean, scale, limit, weights, num_layers, sizes)
    run_chunks(lambda first, stop: _run(*inputs, first, stop, found), len(state))
    return found


def _pack(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each block of units the biases and then, input by input, the weights; filled up with 0 to whole blocks."""
    num_units, num_inputs = weight.shape
    num_blocks = -(-num_units // _UNITS)
    packed = np.zeros((num_blocks * _UNITS, 1 + num_inputs), np.float32)
    packed[:num_units, 0] = bias
    packed[:num_units, 1:] = weight
    return np.ascontiguousarray(packed.reshape(num_blocks, _UNITS, -1).transpose(0, 2, 1)).ravel()


def _type_layer(_context: Any, inputs: Any, weights: Any, start: Any, num_inputs: Any, num_blocks: Any, last: Any, outputs: Any):  # type: ignore[no-untyped-def]
    """A layer of a tile: inputs float32[*, _ROWS] to outputs float32[*, _ROWS], SiLU behind it unless it is the last one."""
    return types.void(inputs, weights, start, num_inputs, num_blocks, last, outputs), _emit_layer


def _emit_layer(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
    inputs, weights, outputs = (
        context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 1, 6)
    )
    start, num_inputs, num_blocks, last = arguments[2:6]
    integer = start.type
    sums = [[cgutils.alloca_once(builder, ir.VectorType(ir.FloatType(), LANES)) for _ in range(_VECTORS)] for _ in range(_UNITS)]
    of_block = builder.mul(builder.add(num_inputs, integer(1)), integer(_UNITS))
    with cgutils.for_range(builder, num_blocks) as block:
        factors = builder.gep(weights.data, [builder.add(start, builder.mul(block.index, of_block))])
        for unit in range(_UNITS):
            bias = splat(builder, builder.load(builder.gep(factors, [integer(unit)])))
            for vector in range(_VECTORS):
                builder.store(bias, sums[unit][vector])
        with cgutils.for_range(builder, num_inputs) as column:
            of_column = builder.gep(factors, [builder.mul(builder.add(column.index, integer(1)), integer(_UNITS))])
            values = builder.gep(inputs.data, [builder.mul(column.index, integer(_ROWS))])
            found = [load(builder, values, vector) for vector in range(_VECTORS)]
            for unit in range(_UNITS):
                factor = splat(builder, builder.load(builder.gep(of_column, [integer(unit)])))
                for vector in range(_VECTORS):
                    total = sums[unit][vector]
                    builder.store(multiply_add(builder, found[vector], factor, builder.load(total)), total)
        target = builder.gep(outputs.data, [builder.mul(block.index, integer(_UNITS * _ROWS))])
        is_last = builder.icmp_signed("!=", last, last.type(0))
        with builder.if_else(is_last) as (then, otherwise):
            for branch, has_silu in ((then, False), (otherwise, True)):
                with branch:
                    for unit in range(_UNITS):
                        for vector in range(_VECTORS):
                            value = builder.load(sums[unit][vector])
                            if has_silu:
                                value = _emit_silu(builder, value)
                            store(builder, value, target, unit * _VECTORS + vector)
    return context.get_dummy_value()


def _emit_silu(builder: ir.IRBuilder, value: Any) -> Any:
    up = builder.fadd(constant(1.0), emit_exp(builder, builder.fneg(value)))
    return builder.fdiv(value, up)


_run_layer: Any = intrinsic(_type_layer)


@compile_loop(
    (
        FLOAT32_ROWS,
        FLOAT32_ROWS,
        FLOAT32S,
        FLOAT32S,
        types.float32,
        FLOAT32S,
        INT64S,
        INT64S,
        INDEX,
        INDEX,
        output(types.float32, 3),
    )
)
def _run(
    state: NDArray[np.float32],
    seen: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    limit: float,
    weights: NDArray[np.float32],
    num_layers: NDArray[np.int64],
    sizes: NDArray[np.int64],
    first: int,
    stop: int,
    found: NDArray[np.float32],
) -> None:
    """Fill rows [first, stop) of each head; sizes are those of the layers of one head after the other, its inputs first."""
    widest = sizes.max() + _UNITS
    inputs = np.zeros((widest, _ROWS), np.float32)
    one = np.zeros((widest, _ROWS), np.float32)
    other = np.zeros((widest, _ROWS), np.float32)
    num_units = state.shape[1]
    for begin in range(first, stop, _ROWS):
        count = min(_ROWS, stop - begin)
        # column by column, so that what is stored lies side by side
        of_state, of_seen = state[begin : begin + count], seen[begin : begin + count]
        for column in range(num_units):
            for row in range(count):
                inputs[column, row] = of_state[row, column]
        for column in range(seen.shape[1]):
            mean_here, scale_here = mean[column], scale[column]
            for row in range(count):
                value = (of_seen[row, column] - mean_here) * scale_here
                value = value if value < limit else limit if value >= limit else np.float32(0)
                inputs[num_units + column, row] = value if value > -limit else -limit
        weight = layer = 0
        for head in range(len(num_layers)):
            source, target = inputs, one
            for step in range(num_layers[head]):
                num_inputs = sizes[layer + step]
                num_blocks = (sizes[layer + step + 1] + _UNITS - 1) // _UNITS
                is_last = 1 if step + 1 == num_layers[head] else 0
                _run_layer(source, weights, weight, num_inputs, num_blocks, is_last, target)
                weight += num_blocks * _UNITS * (num_inputs + 1)
                source, target = target, other if step % 2 == 0 else one
            layer += num_layers[head] + 1
            for row in range(count):
                for column in range(found.shape[2]):
                    found[head, begin + row, column] = source[column, row]
