"""roll_states on the CPU: a tile of customers steps through its events together, every sum of a step in registers.

LLVM's own vectoriser finds neither the tile nor an exponential, so both are written out as vectors here. A weight is read once
for the tile, and the gates follow in the same registers: nothing but the state goes back to memory. What a tile adds up does not
depend on who else is in it, so a customer's state is the same to the bit whatever else is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import FLOAT32_ROWS, INDEX, INT64S, compile_loop, output
from kernels.cpu.vectors import HAS_WIDE_REGISTERS, LANES, VECTOR, constant, emit_exp, load, multiply_add, splat

# Four sums for each customer of a tile must stay in registers beside three weights: 32 wide registers, or 16 narrow ones.
TILE = 6 if HAS_WIDE_REGISTERS else 3

_NUM_GATES = 3  # reset, update, new: torch's order
_NUM_BIASES = 4  # those of reset and update added up; of new, the input's and the state's


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
    states = initial.copy()
    lengths = end - begin
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    weights, biases = _pack(input_weight, state_weight, input_bias, state_bias)
    run_chunks(lambda first, stop: _roll(tokens, begin, end, order, weights, biases, first, stop, states), len(order))
    return states


def _pack(
    input_weight: NDArray[np.float32],
    state_weight: NDArray[np.float32],
    input_bias: NDArray[np.float32],
    state_bias: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and biases in the order in which tiles read them; units are filled up with 0 to whole vectors, and stay 0.

    returns : float32[num_vectors, F + D, 3 * LANES], float32[num_vectors, 4 * LANES]
    """
    num_units = state_weight.shape[1]
    num_vectors = -(-num_units // LANES)
    joined = np.concatenate([input_weight, state_weight], axis=1).reshape(_NUM_GATES, num_units, -1)
    reset, update, new_input = input_bias.reshape(_NUM_GATES, num_units)
    reset_state, update_state, new_state = state_bias.reshape(_NUM_GATES, num_units)
    weights = np.zeros((_NUM_GATES, num_vectors * LANES, joined.shape[2]), np.float32)
    weights[:, :num_units] = joined
    biases = np.zeros((_NUM_BIASES, num_vectors * LANES), np.float32)
    biases[:, :num_units] = reset + reset_state, update + update_state, new_input, new_state
    by_vector = weights.reshape(_NUM_GATES, num_vectors, LANES, -1).transpose(1, 3, 0, 2)
    return (
        np.ascontiguousarray(by_vector).reshape(num_vectors, -1, _NUM_GATES * LANES),
        np.ascontiguousarray(biases.reshape(_NUM_BIASES, num_vectors, LANES).transpose(1, 0, 2)).reshape(num_vectors, -1),
    )


def _type_step(
    _context: Any, tokens: Any, rows: Any, memory: Any, weights: Any, biases: Any, num_units: Any, parity: Any
) -> tuple[Any, Any]:
    """Roll a tile over one event each: memory[parity] to memory[1 - parity].

    tokens : float32[num_events, F];  rows : int64[TILE], the event of each customer of the tile
    memory : float32[2, TILE, D'], D' the units filled up to whole vectors
    """
    signature = types.void(tokens, rows, memory, weights, biases, num_units, parity)
    return signature, _emit_step


def _emit_step(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
    tokens, rows, memory, weights, biases = (
        context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args[:5], arguments[:5], strict=True)
    )
    num_units, parity = arguments[5:]
    integer = num_units.type
    num_features = cgutils.unpack_tuple(builder, tokens.shape)[1]
    num_vectors = cgutils.unpack_tuple(builder, weights.shape)[0]
    width = builder.mul(num_vectors, integer(LANES))
    tile_size = builder.mul(width, integer(TILE))
    before = builder.gep(memory.data, [builder.mul(parity, tile_size)])
    after = builder.gep(memory.data, [builder.mul(builder.sub(integer(1), parity), tile_size)])
    seen = [
        builder.gep(tokens.data, [builder.mul(builder.load(builder.gep(rows.data, [integer(one)])), num_features)])
        for one in range(TILE)
    ]
    known = [builder.gep(before, [builder.mul(width, integer(one))]) for one in range(TILE)]
    sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(_NUM_BIASES)] for _ in range(TILE)]
    stride = integer(_NUM_GATES * LANES)
    weights_of_vector = builder.mul(builder.add(num_features, num_units), stride)

    with cgutils.for_range(builder, num_vectors) as vector:
        bias = builder.gep(biases.data, [builder.mul(vector.index, integer(_NUM_BIASES * LANES))])
        for place in range(_NUM_BIASES):
            start = load(builder, bias, place)
            for one in range(TILE):
                builder.store(start, sums[one][place])
        weight = builder.gep(weights.data, [builder.mul(vector.index, weights_of_vector)])
        # the new gate keeps what comes from the input apart from what comes from the state: the reset gate weighs the latter
        for values, count, new_place in ((seen, num_features, 2), (known, num_units, 3)):
            with cgutils.for_range(builder, count) as column:
                factors = builder.gep(weight, [builder.mul(column.index, stride)])
                of_gates = [load(builder, factors, gate) for gate in range(_NUM_GATES)]
                for one in range(TILE):
                    value = splat(builder, builder.load(builder.gep(values[one], [column.index])))
                    for factor, place in zip(of_gates, (0, 1, new_place), strict=True):
                        total = sums[one][place]
                        builder.store(multiply_add(builder, value, factor, builder.load(total)), total)
            weight = builder.gep(weight, [builder.mul(count, stride)])
        at = builder.mul(vector.index, integer(LANES))
        for one in range(TILE):
            state = load(builder, builder.gep(known[one], [at]), 0)
            found = _emit_gates(builder, [builder.load(total) for total in sums[one]], state)
            place = builder.add(builder.mul(width, integer(one)), at)
            builder.store(found, builder.bitcast(builder.gep(after, [place]), VECTOR.as_pointer()), align=4)
    return context.get_dummy_value()


_step_tile: Any = intrinsic(_type_step)


def _emit_gates(builder: ir.IRBuilder, sums: list[Any], state: Any) -> Any:
    """The state after the event. A quotient for two sigmoids, and one for the tangent: dividing takes as long as ten products."""
    one = constant(1.0)
    reset_up, update_up = (builder.fadd(one, emit_exp(builder, builder.fneg(total))) for total in sums[:2])
    both = builder.fdiv(one, builder.fmul(reset_up, update_up))
    reset, update = builder.fmul(both, update_up), builder.fmul(both, reset_up)
    inner = multiply_add(builder, reset, sums[3], sums[2])
    doubled_up = builder.fadd(one, emit_exp(builder, builder.fadd(inner, inner)))
    new = builder.fsub(one, builder.fdiv(constant(2.0), doubled_up))
    return multiply_add(builder, update, builder.fsub(state, new), new)


@compile_loop(
    (
        FLOAT32_ROWS,
        INT64S,
        INT64S,
        INT64S,
        types.Array(types.float32, 3, "C", readonly=True),
        FLOAT32_ROWS,
        INDEX,
        INDEX,
        output(types.float32, 2),
    )
)
def _roll(
    tokens: NDArray[np.float32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    order: NDArray[np.int64],
    weights: NDArray[np.float32],
    biases: NDArray[np.float32],
    first: int,
    stop: int,
    states: NDArray[np.float32],
) -> None:
    """Roll the states of customers order[first:stop], by falling length, each with an event at least."""
    num_units = states.shape[1]
    memory = np.zeros((2, TILE, weights.shape[0] * LANES), np.float32)
    rows = np.empty(TILE, np.int64)
    for start in range(first, stop, TILE):
        count = min(TILE, stop - start)
        for one in range(TILE):
            # an empty place does the work of the first once more
            customer = order[start + one if one < count else start]
            rows[one] = begin[customer]
            for unit in range(num_units):
                memory[0, one, unit] = states[customer, unit]
        for step in range(end[order[start]] - begin[order[start]]):
            parity = step & 1
            _step_tile(tokens, rows, memory, weights, biases, num_units, parity)
            for one in range(count):
                customer = order[start + one]
                if rows[one] + 1 < end[customer]:
                    rows[one] += 1
                elif step + 1 == end[customer] - begin[customer]:
                    # from here on it repeats its last event, and nobody reads what comes of it
                    for unit in range(num_units):
                        states[customer, unit] = memory[1 - parity, one, unit]
