"""How the loops are compiled: one specialisation each, ahead of the first call, for read-only and writable arrays alike.

Numba gives a read-only array another type than a writable one, so lazy compilation would build a variant for each mixture
of the two that it meets. A signature with read-only inputs takes both, and compiles once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba import types

_Loop = TypeVar("_Loop", bound=Callable[..., None])

BOOLS = types.Array(types.boolean, 1, "C", readonly=True)
INT64S = types.Array(types.int64, 1, "C", readonly=True)
FLOAT64S = types.Array(types.float64, 1, "C", readonly=True)
UINT8S = types.Array(types.uint8, 1, "C", readonly=True)
INT32S = types.Array(types.int32, 1, "C", readonly=True)
FLOAT32S = types.Array(types.float32, 1, "C", readonly=True)
FLOAT32_ROWS = types.Array(types.float32, 2, "C", readonly=True)
INDEX = types.int64


def output(dtype: Any, num_axes: int) -> Any:
    """The Numba type of an array that a loop writes."""
    return types.Array(dtype, num_axes, "C")


def compile_loop(*argument_types: tuple[Any, ...]) -> Callable[[_Loop], _Loop]:
    """Decorator: compile a loop that returns nothing for each of these tuples of argument types.

    nogil, so that threads run at once; cached, so that a machine compiles once; no fastmath, so that float sums keep their order.
    A division by 0 gives what NumPy gives: the branch to an exception would keep LLVM from using vectors.
    """
    signatures = [types.void(*arguments) for arguments in argument_types]

    def decorate(loop: _Loop) -> _Loop:
        return cast(_Loop, numba.njit(signatures, nogil=True, cache=True, error_model="numpy")(loop))

    return decorate
