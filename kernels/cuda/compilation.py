"""How a loop becomes a kernel: the text that the CPU runs over a range, called by one thread for each query.

Kernels are compiled on first use, for the types of that call, and kept for the life of the process. Not on disk: Numba's cache
would notice a change of this file, and miss one of the loop's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from numba import cuda

# A call about one customer is a small grid on purpose.
warnings.filterwarnings("ignore", message="Grid size .* low occupancy")


def compile_kernel(loop: Callable[..., None]) -> Any:
    """A kernel (inputs, num_queries, output) of loop(*inputs, first, stop, output); inputs is a tuple of device arrays."""
    of_one_query = cuda.jit(device=True)(loop)

    def kernel(inputs: Any, num_queries: int, output: Any) -> None:
        query = cuda.grid(1)
        if query < num_queries:
            of_one_query(*inputs, query, query + 1, output)

    return cuda.jit(kernel)
