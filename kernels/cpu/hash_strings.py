"""hash_strings on the CPU: kernels.loops.hash_texts over ranges of strings."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels.cpu.chunks import run_chunks
from kernels.cpu.compilation import INDEX, INT64S, UINT8S, compile_loop, output
from kernels.loops.hash_texts import hash_texts

_fill = compile_loop((UINT8S, INT64S, INDEX, INDEX, output(types.uint64, 1)))(hash_texts)


def hash_strings(data: NDArray[np.uint8], string_offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """See kernels.hash_strings."""
    hashes = np.empty(len(string_offsets) - 1, np.uint64)
    run_chunks(lambda first, stop: _fill(data, string_offsets, first, stop, hashes), len(hashes))
    return hashes
