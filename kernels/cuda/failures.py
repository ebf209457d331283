"""What the CUDA driver raises, told apart: device memory that is too small, and everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from numba.cuda.cudadrv.driver import CudaAPIError, LinkerError
from numba.cuda.cudadrv.error import CudaSupportError

from kernels.registry import BackendError


def is_out_of_memory(error: CudaAPIError) -> bool:
    """Whether the driver had no device memory left. Its codes are of other types in other bindings; the name is the same."""
    return "OUT_OF_MEMORY" in str(error)


@contextmanager
def driver_errors() -> Iterator[None]:
    """raises : BackendError, in place of what the driver or its linker raised inside."""
    try:
        yield
    except (CudaAPIError, CudaSupportError, LinkerError) as error:
        raise BackendError(
            f"backend 'cuda': the device failed: {error}; expected it to work: see nvidia-smi, or use backend 'cpu'"
        ) from error
