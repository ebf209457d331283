"""Vectors of float32 written out, for loops in which LLVM's own vectoriser does not find them.

The pieces that intrinsics are built of: whoever changes one touches the loops that use it, as the cache on disk notices a change
of a loop's own file only.
"""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils

HAS_WIDE_REGISTERS = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if HAS_WIDE_REGISTERS else 8
VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)

# exp(x) = 2^k exp(r), |r| <= log(2)/2; minimax polynomial of exp(r) - 1 - r over r^2, good to float32.
# source : Cephes, expf.c
_EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG2_HIGH, _LOG2_LOW = 0.693359375, -2.12194440e-4
# Beyond it a sigmoid is 0 or 1 in float32, and the product of two exponentials is still finite.
_EXP_LIMIT = 40.0


def emit_exp(builder: ir.IRBuilder, value: Any) -> Any:
    """exp of each lane, clamped to +-_EXP_LIMIT."""
    value = _call(builder, "llvm.minnum", value, constant(_EXP_LIMIT))
    value = _call(builder, "llvm.maxnum", value, constant(-_EXP_LIMIT))
    power = _call(builder, "llvm.rint", builder.fmul(value, constant(1 / math.log(2))))
    rest = multiply_add(builder, power, constant(-_LOG2_HIGH), value)
    rest = multiply_add(builder, power, constant(-_LOG2_LOW), rest)
    terms = constant(_EXP_TERMS[0])
    for term in _EXP_TERMS[1:]:
        terms = multiply_add(builder, terms, rest, constant(term))
    fraction = builder.fadd(multiply_add(builder, terms, builder.fmul(rest, rest), rest), constant(1.0))
    exponent = builder.shl(builder.fptosi(power, _INTEGERS), ir.Constant(_INTEGERS, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(fraction, _INTEGERS), exponent), VECTOR)


def multiply_add(builder: ir.IRBuilder, one: Any, other: Any, added: Any) -> Any:
    """one * other + added, lane by lane."""
    return _call(builder, "llvm.fmuladd", one, other, added)


def constant(value: float) -> Any:
    """The value in every lane."""
    return ir.Constant(VECTOR, [float(np.float32(value))] * LANES)


def load(builder: ir.IRBuilder, pointer: Any, place: int) -> Any:
    """The vector at so many vectors after a pointer to float32."""
    start = builder.gep(pointer, [ir.IntType(64)(place * LANES)])
    return builder.load(builder.bitcast(start, VECTOR.as_pointer()), align=4)


def store(builder: ir.IRBuilder, value: Any, pointer: Any, place: int) -> None:
    """Put a vector at so many vectors after a pointer to float32."""
    start = builder.gep(pointer, [ir.IntType(64)(place * LANES)])
    builder.store(value, builder.bitcast(start, VECTOR.as_pointer()), align=4)


def splat(builder: ir.IRBuilder, scalar: Any) -> Any:
    """A scalar in every lane."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(single, undefined, ir.Constant(_INTEGERS, [0] * LANES))


def _call(builder: ir.IRBuilder, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR] * len(values))
    function = cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{LANES}f32")
    return builder.call(function, values)
