"""hash_strings on a GPU: kernels.loops.hash_texts, a thread per string."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compilation import compile_kernel
from kernels.cuda.launch import run_queries
from kernels.loops.hash_texts import hash_texts

_kernel = compile_kernel(hash_texts)


def hash_strings(data: NDArray[np.uint8], string_offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """See kernels.hash_strings."""
    hashes = np.empty(len(string_offsets) - 1, np.uint64)
    run_queries(
        _kernel,
        (data,),
        string_offsets[:-1],
        string_offsets[1:],
        hashes,
        lambda begin, stop, _: (np.append(begin, stop[-1:]),),  # strings lie end to end, on the device too
    )
    return hashes
